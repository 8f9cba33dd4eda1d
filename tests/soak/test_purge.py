"""After a purge has answered, nothing of the old original is served, wherever a request was just then."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from threading import Event

import pytest

from imgproxy.image.source import Key, parse_key
from imgproxy.storage import Head, OpenObject
from imgproxy.storage.memory import MemoryStorage
from tests import pictures
from tests.edge.conftest import Edge, MakeEdge
from tests.soak.bucket import slow_bucket
from tests.soak.conftest import Tell
from tests.soak.server import Server

_KEY = parse_key("photo.jpg")
_TARGET = "/300x200/photo.jpg"
_COLOUR = "/20x20/filters:format(png)/colour.png"
_SECRET = {"Authorization": "Bearer secret"}
_LONG_SECRET = "a-long-enough-secret"  # a real server takes no short one
_LONG = {"Authorization": f"Bearer {_LONG_SECRET}"}
_PLACES = ("head", "before the fetch", "after the fetch", "engine")


class Bucket(MemoryStorage):
    """A storage that can be held up at any place; its versions may say nothing of what lies there."""

    def __init__(self, *, honest: bool) -> None:
        super().__init__()
        self._honest = honest
        self.release()

    def hold(self, place: str) -> None:
        """Let nobody past a place who comes there first."""
        self._place = place
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    def release(self) -> None:
        """Let all go on."""
        self.hold("nowhere")
        self.go_on.set()

    async def head(self, key: Key) -> Head:
        found = self._told(await super().head(key))
        await self._pass("head")
        return found

    async def open(self, key: Key, *, limit: int) -> OpenObject:
        await self._pass("before the fetch")
        original = await super().open(key, limit=limit)
        await self._pass("after the fetch")
        return OpenObject(original.descriptor, self._told(original.head))

    async def _pass(self, place: str) -> None:
        if place == self._place:
            self._place = "nowhere"  # whoever comes later is not held
            self.reached.set()
            await self.go_on.wait()

    def _told(self, head: Head) -> Head:
        return head if self._honest else Head(head.size, "always the same", head.modified, head.content_type)


async def _put(bucket: Bucket, body: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    await bucket.put(_KEY, chunks())


async def _purge_under_way(
    edge: Edge, bucket: Bucket, place: str, *, new: bytes, ask_at_once: bool
) -> list[bytes]:
    """The bodies of all who asked before a purge and were answered after it, or asked after it."""
    if place == "engine":
        edge.engine.hold, edge.engine.reached = asyncio.Event(), asyncio.Event()
        go_on, reached = edge.engine.hold, edge.engine.reached
    else:
        bucket.hold(place)
        go_on, reached = bucket.go_on, bucket.reached
    asking = [asyncio.create_task(edge.get(_TARGET))]
    await asyncio.wait_for(reached.wait(), 10)
    await _put(bucket, new)
    purged = await edge.get("/photo.jpg", method="PURGE", **_SECRET)
    assert purged.status == 200
    if ask_at_once:
        asking.append(asyncio.create_task(edge.get(_TARGET)))
        await asyncio.sleep(0)
    go_on.set()
    bodies = [await (await each).read() for each in asking]
    return [*bodies, await (await edge.get(_TARGET)).read(), await (await edge.get(_TARGET)).read()]


async def _campaign(edge: Edge, bucket: Bucket, times: int, seed: int) -> Counter[str]:
    """Purge so many times at places drawn by lot; where it happened, and how often anything was wrong."""
    lots, seen = random.Random(seed), Counter[str]()  # noqa: S311 - to draw places, not secrets
    await _put(bucket, b"number -1")
    for number in range(times):
        place, new = lots.choice(_PLACES), b"number %d" % number
        await edge.source_access.purge(_KEY)  # so that storage is asked, and the way goes past every place
        bodies = await _purge_under_way(edge, bucket, place, new=new, ask_at_once=lots.random() < 0.5)
        bucket.release()
        edge.engine.hold = None
        seen[place] += 1
        seen["wrong"] += sum(body != new + b" at 300" for body in bodies)
        await edge.get("/photo.jpg", method="PURGE", **_SECRET)
    return seen


async def _edge(make_edge: MakeEdge, *, honest: bool) -> tuple[Edge, Bucket]:
    bucket = Bucket(honest=honest)
    return await make_edge(unregistered=True, storage=bucket, purge_secret="secret", stale=3600), bucket


@pytest.mark.parametrize("honest", [True, False])
async def test_a_purge_at_any_place_leaves_nothing_old(make_edge: MakeEdge, honest: bool) -> None:
    edge, bucket = await _edge(make_edge, honest=honest)
    seen = await _campaign(edge, bucket, 20, 7)
    assert (seen["wrong"], set(_PLACES) <= set(seen)) == (0, True)


@pytest.mark.soak
@pytest.mark.parametrize("honest", [True, False])
async def test_a_thousand_purges_leave_nothing_old(make_edge: MakeEdge, tell: Tell, honest: bool) -> None:
    edge, bucket = await _edge(make_edge, honest=honest)
    seen = await _campaign(edge, bucket, 1_000, 11)
    tell(f"purges by place: {dict(seen)}")
    assert seen["wrong"] == 0


def _picture(width: int) -> bytes:
    return pictures.encoded(pictures.noise(width, 8))


def _width(png: bytes) -> int:
    return int.from_bytes(png[16:20], "big")


@pytest.mark.soak
def test_a_purge_while_a_real_fetch_is_held_leaves_nothing_old(tmp_path: Path, tell: Tell) -> None:
    times, target = 100, "/filters:format(png)/photo.png"
    with slow_bucket() as bucket, ThreadPoolExecutor(2) as clients:
        server = Server(tmp_path, IMGPROXY_PURGE_SECRET=_LONG_SECRET, **bucket.settings)
        bucket.body = _picture(10)
        try:
            server.start()
            for width in range(11, 11 + times):
                bucket.hold()
                before = clients.submit(server.client.get, target)
                assert bucket.reached.wait(60)
                bucket.body = _picture(width)
                assert server.client.ask("PURGE", "/photo.png", **_LONG).status == 200
                after = clients.submit(server.client.get, target)
                bucket.go_on.set()
                answers = [before.result(), after.result(), server.client.get(target)]
                assert [_width(each.body) for each in answers] == [width] * 3
                server.client.ask("PURGE", "/photo.png", **_LONG)
        finally:
            server.kill()
    tell(f"{times} purges over HTTP")


class Readers:
    """Clients that keep asking on kept connections, and note which version was the newest when they asked."""

    def __init__(self, server: Server) -> None:
        self.newest = 0
        """Version whose purge was acknowledged last."""
        self.seen: list[tuple[int, bytes]] = []
        self.stop = Event()
        self._server = server

    def read(self) -> None:
        while not self.stop.is_set():
            with suppress(OSError, HTTPException), closing(self._server.client.connect()) as connection:
                while not self.stop.is_set():
                    newest = self.newest
                    connection.request("GET", _COLOUR)
                    response = connection.getresponse()
                    body = response.read()
                    if response.status == 200:
                        self.seen.append((newest, body))


def _overwrite(path: Path, version: int) -> None:
    """Write another colour in place, so that only a purge reveals it: inode, length and time stay."""
    body = pictures.encoded(pictures.plain(64, 48, (version % 256, version // 256, 7)), ".png", compression=0)
    path.touch()
    was = path.stat()
    with path.open("r+b") as file:
        file.write(body)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def _purge(server: Server) -> None:
    """Purge through whichever process accepts, again if that is killed before it responds."""
    while True:
        with suppress(OSError, HTTPException):
            assert server.client.ask("PURGE", "/colour.png", **_LONG).status == 200
            return


def _fetch(server: Server) -> bytes:
    while True:
        with suppress(OSError, HTTPException):
            answer = server.client.get(_COLOUR)
            assert answer.status == 200
            return answer.body


@pytest.mark.soak
def test_a_purge_is_over_in_every_process_while_processes_are_killed(tmp_path: Path, tell: Tell) -> None:
    times, kills, lots = 400, 0, random.Random(3)  # noqa: S311
    server = Server(tmp_path, edges=3, IMGPROXY_PURGE_SECRET=_LONG_SECRET, IMGPROXY_STALE="1h")
    readers, versions = Readers(server), dict[bytes, int]()
    with ThreadPoolExecutor(8) as clients:
        try:
            server.start()
            running = [clients.submit(readers.read) for _ in range(8)]
            for version in range(1, times + 1):
                _overwrite(server.objects / "colour.png", version)
                if lots.random() < 0.1:
                    os.kill(lots.choice(server.edges()), signal.SIGKILL)
                    kills += 1
                _purge(server)
                readers.newest = version
                for _ in range(3):
                    assert versions.setdefault(_fetch(server), version) == version
        finally:
            readers.stop.set()
            server.kill()
    for each in running:
        each.result()
    old = [(newest, versions[body]) for newest, body in readers.seen if versions.get(body, newest) < newest]
    tell(f"{times} purges, {kills} kills, {len(readers.seen)} responses")
    assert old == []
