"""What is taken private or deleted is gone from the edge when the API answers: the whole program."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from subprocess import run

import pytest

from imgproxy.files.database_url import DatabaseUrl, PostgresUrl, SqliteUrl
from imgproxy.storage.local import LocalOptions
from tests.postgres import Postgres
from tests.serving import ROOT, serving
from tests.test_incoming import Site, running

PICTURE = "/fit-in/20x20/"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """One process over a folder."""
    async with running(LocalOptions(tmp_path / "objects"), tmp_path, unregistered="public") as made:
        yield made


async def edge(site: Site, target: str) -> int:
    async with site.client.get(target) as answer:
        await answer.read()
        return answer.status


async def registered(site: Site, **said: object) -> tuple[str, str]:
    """The key and the id of a new file."""
    told = await site.presign(visibility="public")
    await site.put(told)
    _, file = await site.register(told["key"], visibility="public", **said)
    return told["key"], file["id"]


async def change(site: Site, id_: str, method: str, path: str = "", body: object = None) -> int:
    headers = {"X-API-Key": site.key}
    url = f"/v1/files/{id_}{path}"
    async with site.client.request(method, url, json=body, headers=headers) as answer:
        await answer.read()
        return answer.status


async def test_a_registered_picture_is_shown_and_the_objects_behind_it_never(site: Site) -> None:
    key, _ = await registered(site)
    file = await site.file(key)
    assert file is not None
    shown = [await edge(site, f"{PICTURE}{path}") for path in (key, file.object_key, "staging/acme/1")]
    assert shown == [200, 404, 404]


async def test_what_was_unknown_a_moment_ago_is_shown_when_it_is_registered(site: Site) -> None:
    told = await site.presign(visibility="public")
    assert await edge(site, PICTURE + told["key"]) == 404
    await site.put(told)
    await site.register(told["key"], visibility="public")
    assert await edge(site, PICTURE + told["key"]) == 200


async def test_what_is_taken_private_or_deleted_is_gone_and_comes_back(site: Site) -> None:
    key, id_ = await registered(site)
    target = PICTURE + key
    seen = []
    for method, path, body in (
        ("PATCH", "", {"visibility": "private"}),
        ("PATCH", "", {"visibility": "public"}),
        ("DELETE", "", None),
        ("POST", "/restore", None),
    ):
        for _ in range(3):  # made, kept, and at hand with its headers
            await edge(site, target)
        assert await change(site, id_, method, path, body) == 200
        seen.append(await edge(site, target))
    assert seen == [404, 200, 404, 200]


async def test_what_nobody_registers_is_published_by_who_looks_first(tmp_path: Path) -> None:
    async with running(LocalOptions(tmp_path / "objects"), tmp_path, publish="auto") as site:
        told = await site.presign(visibility="public")
        assert await edge(site, PICTURE + told["key"]) == 404
        await site.put(told)
        assert await edge(site, PICTURE + told["key"]) == 200


@pytest.fixture(params=["sqlite", "postgresql"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseUrl]:
    """A record for several servers."""
    if request.param == "sqlite":
        yield SqliteUrl(tmp_path / "record.db")
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with postgres.database() as name:
        yield PostgresUrl(postgres.url(name))


async def test_another_server_of_the_same_record_hears_of_it(record: DatabaseUrl, tmp_path: Path) -> None:
    objects = LocalOptions(tmp_path / "objects")
    async with (
        running(objects, tmp_path / "here", database=record) as here,
        running(objects, tmp_path / "there", database=record) as there,
    ):
        key, id_ = await registered(here)
        for method, path, body, status in (
            ("PATCH", "", {"visibility": "private"}, 404),
            ("PATCH", "", {"visibility": "public"}, 200),
            ("DELETE", "", None, 404),
            ("POST", "/restore", None, 200),
        ):
            for _ in range(3):  # made, kept, and at hand with its headers
                await edge(there, PICTURE + key)
            assert await change(here, id_, method, path, body) == 200
            async with asyncio.timeout(30):
                while await edge(there, PICTURE + key) != status:  # noqa: ASYNC110  nobody tells us
                    await asyncio.sleep(0.01)
            assert {await edge(there, PICTURE + key) for _ in range(5)} == {status}


async def test_a_download_url_ends_on_another_server_of_the_same_record_and_begins_there_at_once(
    record: DatabaseUrl, tmp_path: Path
) -> None:
    objects, same = LocalOptions(tmp_path / "objects"), {"database": record, "secret": "the same for both"}
    async with (
        running(objects, tmp_path / "here", **same) as here,
        running(objects, tmp_path / "there", **same) as there,
    ):
        _, id_ = await registered(here)

        async def url(site: Site) -> str:
            headers = {"X-API-Key": here.key}
            async with site.client.get(f"/v1/files/{id_}/download-url", headers=headers) as answer:
                return "/" + (await answer.json())["url"].split("/", 3)[3]

        old = await url(there)
        assert await edge(there, old) == 200
        assert await change(here, id_, "PATCH", body={"visibility": "private"}) == 200
        new = await url(there)
        assert (await edge(here, old), await edge(there, new), await edge(here, new)) == (403, 200, 200)
        assert await edge(there, old) == 403  # it was told by the newer one, if by nobody else


def test_every_edge_has_heard_of_it_when_the_api_answers(tmp_path: Path) -> None:
    with serving(tmp_path, "--demo", "--edges", "2") as served:
        words = "".join(served.words)
        found = re.search(r"sk_\w+", words)
        assert found is not None
        headers = {"X-API-Key": found[0], "Content-Type": "application/json"}
        _, _, listed = served.get("/v1/files?search=logo.png", **headers)
        (file,) = json.loads(listed)["items"]
        target = "/fit-in/20x20/demo/logo.png"
        download = f"/v1/files/{file['id']}/download-url"
        old = json.loads(served.get(download, **headers)[2])["url"].removeprefix(
            f"http://127.0.0.1:{served.port}"
        )
        visitors = [http.client.HTTPConnection("127.0.0.1", served.port, timeout=30) for _ in range(24)]
        try:
            for visibility, status in (("private", 404), ("public", 200)) * 5:
                with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)) as owner:
                    owner.request(
                        "PATCH", f"/v1/files/{file['id']}", json.dumps({"visibility": visibility}), headers
                    )
                    assert owner.getresponse().status == 200
                seen = []
                for each in visitors:
                    each.request("GET", target)
                    answer = each.getresponse()
                    answer.read()
                    seen.append(answer.status)
                assert set(seen) == {status}
            for each in visitors:
                each.request("GET", old)
                answer = each.getresponse()
                answer.read()
                assert answer.status == 403
        finally:
            for each in visitors:
                each.close()


def test_the_demo_prints_how_to_call_the_api(tmp_path: Path) -> None:
    with serving(tmp_path, "--demo") as served:
        words = "".join(served.words)
        line = next(line for line in words.splitlines() if line.startswith("token of a user"))
        secret, command = line.removeprefix("token of a user").split()[0], line.partition(" token --")[2]
        name, _, value = secret.partition("=")
        made = run(
            [sys.executable, "-m", "imgproxy", "token", *f"--{command}".split()],
            env={**os.environ, "PYTHONPATH": str(ROOT), name: value},
            capture_output=True,
            text=True,
            check=True,
        )
        publishable = re.search(r"pk_\w+", words)
        assert publishable is not None
        headers = {"X-API-Key": publishable[0], "Authorization": f"Bearer {made.stdout.strip()}"}
        status, _, body = served.get("/v1/files", **headers)
        assert (status, json.loads(body)["pagination"]["total"]) == (200, 6)
