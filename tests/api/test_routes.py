"""The door: what every request passes, whatever it is for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import FormData

from imgproxy.errors import BrokenImage, StorageFailed
from imgproxy.http.client_address import Clients
from tests.api.shell import ANYBODY, SERVICE, Shell, running, user


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    async with running() as made:
        yield made


async def code(response: Any) -> tuple[int, str]:
    return response.status, (await response.json())["error"]["code"]


async def test_a_call_is_read_done_and_answered(shell: Shell) -> None:
    response = await shell.client.post("/v1/things", json={"text": "a wish"}, headers=user())
    assert response.status == 201
    assert await response.json() == {
        "text": "a wish",
        "who": "user:olga",
        "base": str(shell.client.make_url("")).rstrip("/"),
    }
    assert response.headers["Location"] == "/v1/things/1"


async def test_urls_begin_with_the_public_origin_if_there_is_one() -> None:
    async with running(public_url="https://img.example") as shell:
        response = await shell.client.get("/v1/things", headers=ANYBODY)
        assert (await response.json())["base"] == "https://img.example"


@pytest.mark.parametrize(("told", "scheme"), [("https", "https"), ("http", "http"), ("gopher", "http")])
async def test_urls_begin_as_the_client_of_a_proxy_knows_us(shell: Shell, told: str, scheme: str) -> None:
    headers = {**ANYBODY, "Host": "img.example", "X-Forwarded-Proto": told}
    response = await shell.client.get("/v1/things", headers=headers)
    assert (await response.json())["base"] == f"{scheme}://img.example"


async def test_without_credentials_everything_is_401(shell: Shell) -> None:
    response = await shell.client.get("/v1/things")
    assert await code(response) == (401, "common/authentication-required")
    assert "WWW-Authenticate" in response.headers


async def test_what_needs_a_user_is_401_to_who_has_shown_only_a_publishable_key(shell: Shell) -> None:
    response = await shell.client.post("/v1/things", json={"text": "x"}, headers=ANYBODY)
    assert await code(response) == (401, "common/authentication-required")


async def test_what_needs_the_tenant_is_403_to_a_user(shell: Shell) -> None:
    response = await shell.client.post("/v1/admin", headers=user())
    assert await code(response) == (403, "file/access-denied")


async def test_the_tenant_itself_may_call_everything(shell: Shell) -> None:
    made = await shell.client.post("/v1/things", json={"text": "x"}, headers=SERVICE)
    admin = await shell.client.post("/v1/admin", headers=SERVICE)
    assert (made.status, admin.status) == (201, 200)


async def test_who_asks_is_asked_before_what_is_sent_is_read(shell: Shell) -> None:
    response = await shell.client.post("/v1/things", data=b"{broken")
    assert response.status == 401


async def test_a_body_that_is_no_json_is_named_so(shell: Shell) -> None:
    response = await shell.client.post(
        "/v1/things", data=b"{broken", headers=user() | {"Content-Type": "application/json"}
    )
    assert await code(response) == (400, "common/invalid-request")


async def test_a_body_without_a_content_type_is_read_as_json(shell: Shell) -> None:
    response = await shell.client.post(
        "/v1/things", data=b'{"text":"x"}', headers=user(), skip_auto_headers=["Content-Type"]
    )
    assert response.status == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_of_another_type_is_415(shell: Shell, kind: str) -> None:
    response = await shell.client.post(
        "/v1/things", data=b'{"text":"x"}', headers=user() | {"Content-Type": kind}
    )
    assert await code(response) == (415, "common/unsupported-media-type")


async def test_a_body_beyond_the_limit_is_413_whether_it_says_its_length_or_not(shell: Shell) -> None:
    async def unending() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * 8192

    headers = user() | {"Content-Type": "application/json"}
    told = await shell.client.post("/v1/things", data=b" " * 65_537, headers=headers)
    untold = await shell.client.post("/v1/things", data=unending(), headers=headers)
    assert await code(told) == await code(untold) == (413, "common/body-too-large")


async def test_a_form_is_handed_on_as_a_stream_however_long(shell: Shell) -> None:
    form = FormData()
    form.add_field("file", b"x" * 100_000, filename="x")
    response = await shell.client.post("/v1/things", data=form, headers=user())
    assert response.status == 200
    assert int((await response.json())["text"].split()[0]) > 100_000


async def test_a_query_is_read_and_a_wrong_one_refused(shell: Shell) -> None:
    fine = await shell.client.get("/v1/things?limit=5", headers=ANYBODY)
    wrong = await shell.client.get("/v1/things?limit=five", headers=ANYBODY)
    unknown = await shell.client.get("/v1/things?limits=5", headers=ANYBODY)
    twice = await shell.client.get("/v1/things?limit=5&limit=6", headers=ANYBODY)
    assert (await fine.json())["text"] == "5"
    assert [each.status for each in (wrong, unknown, twice)] == [400, 400, 400]


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/things/1/2", "/v1/%0a"])
async def test_what_is_not_there_is_404_without_asking_who(shell: Shell, path: str) -> None:
    assert await code(await shell.client.get(path)) == (404, "common/not-found")


async def test_a_method_that_is_not_there_is_405_and_says_which_are(shell: Shell) -> None:
    response = await shell.client.delete("/v1/things", headers=SERVICE)
    assert await code(response) == (405, "common/method-not-allowed")
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


async def test_head_is_get_without_the_body(shell: Shell) -> None:
    response = await shell.client.head("/v1/things/1", headers=ANYBODY)
    assert (response.status, response.headers["ETag"], await response.read()) == (200, '"1"', b"")


@pytest.mark.parametrize("names", ['"1"', 'W/"1"', '"0", "1"', "*"])
async def test_who_has_it_already_is_sent_no_body(shell: Shell, names: str) -> None:
    response = await shell.client.get("/v1/things/1", headers=ANYBODY | {"If-None-Match": names})
    assert (response.status, response.headers["ETag"]) == (304, '"1"')


async def test_who_has_another_version_is_sent_this_one(shell: Shell) -> None:
    response = await shell.client.get("/v1/things/1", headers=ANYBODY | {"If-None-Match": '"0"'})
    assert response.status == 200


async def test_every_answer_has_the_request_id_that_it_came_with_or_a_new_one(shell: Shell) -> None:
    given = await shell.client.get("/v1/things", headers=ANYBODY | {"X-Request-Id": "from-the-proxy"})
    unfit = await shell.client.get("/v1/nothing", headers={"X-Request-Id": "a b"})
    assert given.headers["X-Request-Id"] == "from-the-proxy"
    assert unfit.headers["X-Request-Id"] == (await unfit.json())["request_id"] != "a b"


async def test_an_answer_is_kept_by_nobody_and_run_by_nobody(shell: Shell) -> None:
    made = await shell.client.get("/v1/things", headers=ANYBODY)
    failed = await shell.client.get("/v1/nothing")
    for response in (made, failed):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_an_error_of_ours_is_told_and_one_of_storage_logged(
    shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    shell.part.error = BrokenImage("the picture is damaged")
    assert await code(await shell.client.get("/v1/things", headers=ANYBODY)) == (400, "file/invalid-format")
    assert caplog.records == []
    shell.part.error = StorageFailed("storage does not answer")
    failed = await shell.client.get("/v1/things", headers=ANYBODY)
    assert failed.headers["Retry-After"] == "5"
    assert await code(failed) == (502, "common/storage-failed")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_defect_is_500_and_nothing_of_it_is_told(
    shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    shell.part.error = KeyError("/etc/secret")
    response = await shell.client.get("/v1/things", headers=ANYBODY)
    assert await code(response) == (500, "common/internal-error")
    assert "secret" not in await response.text()
    assert response.headers["X-Request-Id"] in caplog.text


async def test_too_many_requests_are_429_and_say_when(shell: Shell) -> None:
    async with running(rate=2) as slow:
        fine = [await slow.client.get("/v1/things", headers=ANYBODY) for _ in range(2)]
        assert [each.headers["X-RateLimit-Remaining"] for each in fine] == ["1", "0"]
        refused = await slow.client.get("/v1/things", headers=ANYBODY)
        assert await code(refused) == (429, "common/rate-limited")
        assert refused.headers["Retry-After"] == "30"
        assert refused.headers["X-RateLimit-Limit"] == "2"
        assert (await slow.client.get("/v1/things", headers=user())).status == 200


async def test_anonymous_callers_behind_a_trusted_proxy_are_counted_apart() -> None:
    async with running(rate=1, clients=Clients([ip_network("127.0.0.0/8")])) as slow:
        statuses = [
            (await slow.client.get("/v1/things", headers=ANYBODY | {"X-Forwarded-For": client})).status
            for client in ("203.0.113.7", "198.51.100.1", "203.0.113.7")
        ]
        assert statuses == [200, 200, 429]


async def test_the_same_key_makes_one_thing_and_answers_twice(shell: Shell) -> None:
    headers = user() | {"Idempotency-Key": '"once"'}
    first = await shell.client.post("/v1/things", json={"text": "x"}, headers=headers)
    again = await shell.client.post("/v1/things", json={"text": "x"}, headers=headers)
    assert shell.part.calls == ["x"]
    assert (first.status, await first.read()) == (again.status, await again.read())
    assert again.headers["Location"] == "/v1/things/1"
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")


async def test_a_key_of_another_request_is_422(shell: Shell) -> None:
    headers = user() | {"Idempotency-Key": "once"}
    await shell.client.post("/v1/things", json={"text": "x"}, headers=headers)
    other = await shell.client.post("/v1/things", json={"text": "y"}, headers=headers)
    assert await code(other) == (422, "common/idempotency-key-reused")


async def test_who_asks_again_too_soon_is_409(shell: Shell) -> None:
    shell.part.hold = asyncio.Event()
    headers = user() | {"Idempotency-Key": "once"}
    first = asyncio.create_task(shell.client.post("/v1/things", json={"text": "x"}, headers=headers))
    await shell.part.reached.wait()
    again = await shell.client.post("/v1/things", json={"text": "x"}, headers=headers)
    assert await code(again) == (409, "common/request-in-progress")
    shell.part.hold.set()
    assert (await first).status == 201


async def test_a_change_is_finished_though_the_client_has_left(shell: Shell) -> None:
    shell.part.hold = asyncio.Event()
    asking = asyncio.create_task(shell.client.post("/v1/things", json={"text": "x"}, headers=user()))
    await shell.part.reached.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await shell.left.wait()
    shell.part.hold.set()
    await shell.door.close()
    assert shell.part.calls == ["x"]


async def test_a_page_of_an_allowed_origin_may_ask_and_read() -> None:
    async with running(origins=("https://app.example",)) as shell:
        origin = {"Origin": "https://app.example"}
        asked = await shell.client.options(
            "/v1/things", headers=origin | {"Access-Control-Request-Method": "POST"}
        )
        assert asked.status == 204
        assert asked.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS, POST"
        answer = await shell.client.get("/v1/things", headers=origin)
        assert answer.status == 401
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]


async def test_answers_are_counted(shell: Shell) -> None:
    await shell.client.get("/v1/things", headers=ANYBODY)
    assert b'imgproxy_requests_total{cache="api",status="200"} 1.0' in shell.metrics.text()
