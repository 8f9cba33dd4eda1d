"""Files over HTTP: read, list, change, delete, restore, download; and that others are told nothing."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest
from multidict import CIMultiDict

from imgproxy.api.requests import FileList
from imgproxy.api.responses import PublicRecord
from imgproxy.files.cursor import Sort
from imgproxy.files.model import File, Share, Visibility
from imgproxy.files.principal import Kind, Principal
from tests.api import shell
from tests.api.conftest import Counter
from tests.files.keeping import UNKNOWN
from tests.files.uploading import ACME, JPEG, Desk

OLGA = Principal(ACME, Kind.USER, user="olga")
OTHERS = shell.user(sub="bob")
ELSEWHERE = {"X-API-Key": shell.ELSEWHERE}
ELSEWHERE_OLGA = {**ELSEWHERE, "Authorization": f"Bearer {shell.token(tenant='other')}"}
SEVEN_DAYS = 7 * 24 * 3600


async def ask(
    counter: Counter, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any, CIMultiDict[str]]:
    """As whoever the headers say, olga unless told; names of headers are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = named if "X-API-Key" in named else {**counter.headers, **named}
    async with counter.client.request(method, path, json=body, headers=given) as answer:
        text = await answer.read()
        return answer.status, await answer.json() if text else None, answer.headers.copy()


async def made(desk: Desk, **said: Any) -> File:
    """A file of olga's, public unless told."""
    upload = await desk.issue(OLGA, visibility=said.pop("visibility", Visibility.PUBLIC))
    await desk.put(upload.staging_key)
    return await desk.register(upload, OLGA, **said)


async def test_the_owner_is_told_everything_and_others_what_is_public(counter: Counter) -> None:
    file = await made(counter.desk, alt="a cat", metadata={"secret": 1}, tags=("cat",))
    path = f"/v1/files/{file.id}"
    _, own, own_headers = await ask(counter, "GET", path)
    _, others, others_headers = await ask(counter, "GET", path, **OTHERS)
    assert (own["metadata"], own["ownerId"], own["version"]) == ({"secret": 1}, "olga", 1)
    assert set(own) - set(others) == {
        "s3Key", "ownerType", "ownerId", "relatedEntityId", "metadata", "state", "version", "deletedAt",
        "purgeAfter",
    }  # fmt: skip
    assert (others["alt"], others["url"]) == ("a cat", str(counter.client.make_url(f"/{file.key}")))
    assert (own_headers["ETag"], others_headers["ETag"]) == ('"1"', '"1-public"')


async def test_who_has_it_already_is_told_so(counter: Counter) -> None:
    file = await made(counter.desk)
    path = f"/v1/files/{file.id}"
    status, body, _ = await ask(counter, "GET", path, If_None_Match='"1"')
    assert (status, body) == (304, None)
    assert (await ask(counter, "GET", path, If_None_Match='"1"', **OTHERS))[0] == 200


FORMS = [
    ("GET", "", None),
    ("GET", "?deleted=true", None),
    ("PATCH", "", {"alt": "mine"}),
    ("PATCH", "", {}),
    ("DELETE", "", None),
    ("POST", "/restore", None),
    ("POST", "/download-url", None),
    ("GET", "/download-url", None),
    ("GET", "/shares", None),
    ("PUT", "/shares", {"shares": []}),
    ("DELETE", "/shares", None),
]


@pytest.mark.parametrize("visibility", Visibility)
async def test_another_tenants_file_is_not_there_in_any_form(
    counter: Counter, visibility: Visibility
) -> None:
    file = await made(counter.desk, visibility=visibility)
    for method, rest, body in FORMS:
        answers = []
        for id_ in (file.id, UNKNOWN):
            status, told, headers = await ask(
                counter, method, f"/v1/files/{id_}{rest}", body, If_Match='"9"', **ELSEWHERE_OLGA
            )
            told.pop("request_id")
            headers.pop("X-Request-Id")
            headers.pop("Date")
            answers.append((status, told, headers))
        assert answers[0] == answers[1]
        assert (answers[0][0], answers[0][1]["error"]["code"]) == (404, "file/not-found")
    _, listed, _ = await ask(counter, "GET", "/v1/files", **ELSEWHERE_OLGA)
    assert (listed["items"], listed["pagination"]["total"]) == ([], 0)
    assert await counter.keeping.now(file) == file


@pytest.mark.parametrize("id_", [UNKNOWN, "1", "..%2f", "%00", "a" * 300, "%F0%9F%90%88"])
async def test_what_cannot_be_an_id_is_not_there(counter: Counter, id_: str) -> None:
    status, told, _ = await ask(counter, "GET", f"/v1/files/{id_}")
    assert (status, told["error"]["code"]) in ((404, "file/not-found"), (404, "common/not-found"))


@pytest.mark.parametrize(
    ("visibility", "who", "reads", "changes"),
    [
        ("public", shell.ANYBODY, 200, 401),
        ("public", OTHERS, 200, 403),
        ("public", shell.SERVICE, 200, 200),
        ("protected", shell.ANYBODY, 404, 401),
        ("protected", OTHERS, 200, 403),
        ("shared", shell.ANYBODY, 404, 401),
        ("shared", OTHERS, 404, 404),
        ("shared", shell.user(sub="sam"), 200, 403),
        ("shared", shell.user(sub="rita", role="editor"), 200, 403),
        ("private", shell.ANYBODY, 404, 401),
        ("private", OTHERS, 404, 404),
        ("private", shell.user(), 200, 200),
        ("private", shell.SERVICE, 200, 200),
    ],
)
async def test_rights_hold_over_http(
    counter: Counter, visibility: str, who: dict[str, str], reads: int, changes: int
) -> None:
    file = await made(counter.desk, visibility=Visibility(visibility))
    await counter.keeping.changes.share(OLGA, file.id, [Share("user", "sam"), Share("role", "editor")])
    path = f"/v1/files/{file.id}"
    assert (await ask(counter, "GET", path, **who))[0] == reads
    assert (await ask(counter, "POST", f"{path}/download-url", **who))[0] == reads
    assert (await ask(counter, "PUT", f"{path}/shares", {"shares": []}, **who))[0] == changes
    assert (await ask(counter, "PATCH", path, {"alt": "a cat"}, **who))[0] == changes
    status, told, _ = await ask(counter, "DELETE", path, **who)
    codes = {401: "common/authentication-required", 403: "file/access-denied", 404: "file/not-found"}
    assert (status, told) == (200, {}) if changes == 200 else told["error"]["code"] == codes[changes]


async def test_a_patch_merges_and_answers_the_record(counter: Counter) -> None:
    file = await made(counter.desk, alt="a cat", metadata={"a": 1, "b": 2})
    status, told, headers = await ask(
        counter,
        "PATCH",
        f"/v1/files/{file.id}",
        {"alt": None, "metadata": {"a": None, "c": {"d": None, "e": 3}}, "originalName": "tom.jpg",
         "tags": ["tom", "tom"], "relatedEntityId": "post-1"},
    )  # fmt: skip
    assert status == 200
    assert (told["alt"], told["metadata"]) == (None, {"b": 2, "c": {"e": 3}})
    assert (told["originalName"], told["tags"], told["relatedEntityId"]) == ("tom.jpg", ["tom"], "post-1")
    assert (told["version"], headers["ETag"]) == (2, '"2"')


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({"visibility": None}, "common/invalid-request"),
        ({"visibility": "secret"}, "common/invalid-request"),
        ({"originalName": ""}, "file/invalid-name"),
        ({"originalName": "a" * 256}, "file/original-name-too-long"),
        ({"size": 1}, "common/invalid-request"),
        ({"metadata": {"a": "x" * 20_000}}, "common/invalid-request"),
    ],
)
async def test_what_a_file_cannot_be_is_refused(counter: Counter, patch: dict[str, Any], code: str) -> None:
    file = await made(counter.desk)
    status, told, _ = await ask(counter, "PATCH", f"/v1/files/{file.id}", patch)
    assert (status, told["error"]["code"]) == (400, code)
    assert await counter.keeping.now(file) == file


async def test_of_two_who_have_read_the_same_version_one_changes_it(counter: Counter) -> None:
    file = await made(counter.desk)
    answers = await asyncio.gather(
        *(ask(counter, "PATCH", f"/v1/files/{file.id}", {"alt": str(n)}, If_Match='"1"') for n in range(5))
    )
    assert sorted(status for status, _, _ in answers) == [200, 412, 412, 412, 412]
    lost = next(told for status, told, _ in answers if status == 412)
    assert lost["error"]["code"] == "common/precondition-failed"


async def test_a_delete_of_another_version_deletes_nothing(counter: Counter) -> None:
    file = await made(counter.desk)
    path = f"/v1/files/{file.id}"
    assert (await ask(counter, "DELETE", path, If_Match='"7"'))[0] == 412
    assert (await ask(counter, "DELETE", path, If_Match='"7", "1"'))[0] == 200


async def test_a_deleted_file_is_gone_until_it_is_restored(counter: Counter) -> None:
    file = await made(counter.desk)
    path = f"/v1/files/{file.id}"
    assert (await ask(counter, "DELETE", path))[:2] == (200, {})
    assert (await ask(counter, "GET", path))[0] == 404
    assert (await ask(counter, "POST", f"{path}/download-url"))[0] == 404
    _, kept, _ = await ask(counter, "GET", f"{path}?deleted=true")
    assert (kept["state"], kept["url"], kept["purgeAfter"]) == ("deleted", None, "2026-10-21T14:13:20.000Z")
    assert (await ask(counter, "GET", f"{path}?deleted=true", **OTHERS))[0] == 404
    assert (await ask(counter, "POST", f"{path}/restore", **OTHERS))[0] == 404
    status, told, headers = await ask(counter, "POST", f"{path}/restore")
    assert (status, told["state"], told["key"], headers["ETag"]) == (200, "ready", file.key, '"3"')
    assert (await ask(counter, "GET", path))[0] == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_download_url_gives_the_bytes_to_whoever_holds_it(counter: Counter, method: str) -> None:
    file = await made(counter.desk, original_name="Été.jpg", visibility=Visibility.PRIVATE)
    path, bare = f"/v1/files/{file.id}/download-url", ["Content-Type"]
    async with counter.client.request(  # neither a body nor a type: as real clients ask
        method, path, headers=counter.headers, skip_auto_headers=bare
    ) as answer:
        told = await answer.json()
    assert told.pop("downloadUrl") == told["url"]
    url = told.pop("url")
    assert told == {
        "filename": "Été.jpg",
        "contentType": "image/jpeg",
        "size": len(JPEG),
        "expiresAt": "2026-09-21T15:13:20.000Z",
        "expiresIn": 3600,
    }
    assert urlsplit(url).netloc == urlsplit(str(counter.client.make_url("/"))).netloc
    async with counter.client.session.get(url) as bytes_:
        assert await bytes_.read() == JPEG
        assert bytes_.headers["Content-Type"] == "image/jpeg"
        assert bytes_.headers["Content-Disposition"] == (
            "attachment; filename=\"Ete.jpg\"; filename*=UTF-8''%C3%89t%C3%A9.jpg"
        )


async def test_a_download_may_be_asked_for_as_it_is_wanted(counter: Counter) -> None:
    file = await made(counter.desk)
    path = f"/v1/files/{file.id}/download-url"
    _, by_body, _ = await ask(counter, "POST", path, {"expiresIn": 60, "disposition": "inline"})
    _, by_query, _ = await ask(counter, "GET", f"{path}?expiresIn=60&disposition=inline")
    for told in (by_body, by_query):
        assert told["expiresIn"] == 60
        assert "disposition=inline" in told["url"]
    assert (await ask(counter, "POST", path, {"expiresIn": SEVEN_DAYS + 1}))[0] == 400


async def test_a_list_is_paged_in_every_way_that_clients_know(counter: Counter) -> None:
    files = [await made(counter.desk) for _ in range(5)]
    _, first, _ = await ask(counter, "GET", "/v1/files?limit=2")
    cursor = first["pagination"].pop("nextCursor")
    assert first["pagination"] == {
        "total": 5, "totalIsExact": True, "page": 1, "limit": 2, "totalPages": 3,
        "hasNextPage": True, "hasPrevPage": False, "hasNext": True, "hasPrev": False,
    }  # fmt: skip
    _, by_page, _ = await ask(counter, "GET", "/v1/files?limit=2&page=2")
    _, by_cursor, _ = await ask(counter, "GET", f"/v1/files?limit=2&cursor={cursor}")
    assert by_cursor["items"] == by_page["items"]
    assert (by_page["pagination"]["hasPrevPage"], by_cursor["pagination"]["hasPrev"]) == (True, True)
    _, last, _ = await ask(counter, "GET", "/v1/files?limit=2&page=3")
    assert (last["pagination"]["hasNext"], last["pagination"]["nextCursor"]) == (False, None)
    ids = [item["id"] for page in (first, by_page, last) for item in page["items"]]
    assert sorted(ids) == sorted(file.id for file in files)


async def test_a_list_can_do_without_its_count(counter: Counter) -> None:
    _, told, _ = await ask(counter, "GET", "/v1/files?total=false")
    assert (told["pagination"]["total"], told["pagination"]["totalPages"]) == (None, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("visibility=private", ["b"]),
        ("ownerType=user&ownerId=olga", ["a", "b", "c"]),
        ("ownerId=olga", ["a", "b", "c"]),
        ("bucket=images", ["a", "b", "c"]),
        ("bucket=documents", []),
        ("mimeType=image/jpeg", ["a", "b", "c"]),
        ("category=cats", ["a"]),
        ("tag=tom", ["b"]),
        ("search=SLEEP", ["c"]),
        ("sortBy=originalName&sortDirection=asc", ["a", "b", "c"]),
        ("sortBy=originalName", ["c", "b", "a"]),
    ],
)
async def test_a_list_has_what_is_asked_for(counter: Counter, query: str, found: list[str]) -> None:
    desk = counter.desk
    await made(desk, original_name="a", category="cats")
    await made(desk, original_name="b", tags=("tom",), visibility=Visibility.PRIVATE)
    await made(desk, original_name="c", description="asleep")
    _, told, _ = await ask(counter, "GET", f"/v1/files?{query}")
    names = [item["originalName"] for item in told["items"]]
    assert (names if "sortBy" in query else sorted(names)) == found


@pytest.mark.parametrize("query", ["ownerId=olga", "ownerId=bob", "ownerType=service", "ownerType=user"])
@pytest.mark.parametrize("who", [shell.user(sub="eve"), shell.ANYBODY])
async def test_list_files_filtered_by_an_unreadable_field_is_403_and_names_it(
    counter: Counter, who: dict[str, str], query: str
) -> None:
    await made(counter.desk)
    named = {name.replace("-", "_"): value for name, value in who.items()}
    status, told, _ = await ask(counter, "GET", f"/v1/files?{query}", **named)
    assert (status, told["error"]["code"]) == (403, "file/access-denied")
    assert told["message"].startswith(f"{query.partition('=')[0]}: ")


def test_list_files_has_no_filter_and_no_sort_by_a_field_that_others_are_not_shown() -> None:
    """Whatever is added to the query is shown to all who see a file, or guarded by `permission`."""
    page = {"page", "limit", "sort_by", "sort_direction", "cursor", "total"}
    guarded = {"owner_type", "owner_id"}
    words = {"tag": "tags", "search": "description"}  # and name and alternative text
    filters = {words.get(name, name) for name in FileList.model_fields.keys() - page - guarded}
    assert filters <= PublicRecord.model_fields.keys()
    assert {sort.value for sort in Sort} <= {field.alias for field in PublicRecord.model_fields.values()}


async def test_a_list_tells_each_what_he_may_know(counter: Counter) -> None:
    own = await made(counter.desk, metadata={"secret": 1})
    await made(counter.desk, visibility=Visibility.PRIVATE)
    _, olgas, _ = await ask(counter, "GET", "/v1/files")
    assert [item["metadata"] for item in olgas["items"] if item["id"] == own.id] == [{"secret": 1}]
    assert olgas["pagination"]["total"] == 2
    for who in (shell.ANYBODY, OTHERS):
        _, told, _ = await ask(counter, "GET", "/v1/files", **who)
        assert told["pagination"]["total"] == 1
        assert ["metadata" in item or "s3Key" in item for item in told["items"]] == [False]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "page=0", "sortBy=owner", "cursor=abc", "colour=red", "page=1000000&limit=100"],
)
async def test_a_list_that_cannot_be_is_refused(counter: Counter, query: str) -> None:
    status, told, _ = await ask(counter, "GET", f"/v1/files?{query}")
    assert (status, told["error"]["code"]) == (400, "common/invalid-request")
