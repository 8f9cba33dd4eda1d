"""Whenever the server is killed, what it has acknowledged is so afterwards, and nothing private is shown."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import FileState
from imgproxy.files.outbox import OutboxWorker, handlers
from imgproxy.files.retention import Retention
from imgproxy.files.sweep import Sweep
from imgproxy.storage.local import LocalStorage
from tests import pictures
from tests.files.machine.laws import Record, record
from tests.files.machine.world import Front
from tests.soak.conftest import Tell
from tests.soak.server import Server

_KILLS = 50
_CLIENTS = 4
_LATER = 40 * 24 * 3600 * 1000
"""By then every grace, lease and retention has ended."""
_CUT = (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError)
_BODIES = [pictures.encoded(pictures.gradient(16 + number, 12), ".jpg") for number in range(8)]
_JPEG = {"contentType": "image/jpeg", "filename": "cat.jpg", "visibility": "public"}


@dataclass(eq=False)
class Promise:
    """A file that was acknowledged, and what was acknowledged of it since."""

    id: str
    key: str
    body: bytes
    shown: bool | None = True
    """Whether the edge shows it; None while a change was asked for and not answered."""
    there: bool | None = True


@dataclass
class Clients:
    """Those who upload, delete and hide, and remember what they were told."""

    server: Server
    headers: dict[str, str]
    lots: random.Random
    promises: list[Promise] = field(default_factory=list)
    completed: list[tuple[str, bytes]] = field(default_factory=list)
    """Keys of uploads in parts that were completed, and are not registered yet."""
    broken: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    begun: dict[str, asyncio.Event] = field(default_factory=dict)
    _left: int = 0
    _enough: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        base = f"http://127.0.0.1:{self.server.client.port}"
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(base, timeout=timeout) as session:
            yield session

    async def work(self) -> None:
        """Do one thing after the other, until cancelled; what is cut off is begun anew."""
        things = (self.upload, self.upload, self.in_parts, self.finish, self.delete, self.hide, self.peek)
        while True:
            with suppress(*_CUT):
                async with self.session() as session:
                    while True:
                        await self.lots.choice(things)(session)
            await asyncio.sleep(0.02)

    async def upload(self, session: aiohttp.ClientSession) -> None:
        told = await self.ask(session, "presign", "POST", "/v1/files/presigned-url", _JPEG)
        body = self.lots.choice(_BODIES)
        async with session.put(told["url"], data=body, headers=told["headers"]) as answer:
            assert answer.status == 200
        await self.register(session, told["key"], body)

    async def in_parts(self, session: aiohttp.ClientSession) -> None:
        told = await self.ask(session, "init", "POST", "/v1/files/multipart/init", _JPEG)
        place = {"uploadId": told["uploadId"], "key": told["key"]}
        part = {**place, "partNumber": 1}
        signed = await self.ask(session, "sign", "POST", "/v1/files/multipart/presigned-url", part)
        body = self.lots.choice(_BODIES)
        async with session.put(signed["url"], data=body) as answer:
            assert answer.status == 200
            etag = answer.headers["ETag"]
        parts = {**place, "parts": [{"PartNumber": 1, "ETag": etag}]}
        await self.ask(session, "complete", "POST", "/v1/files/multipart/complete", parts)
        self.completed.append((told["key"], body))

    async def finish(self, session: aiohttp.ClientSession) -> None:
        """Register what was completed, perhaps before a kill."""
        if self.completed:
            await self.register(session, *self.completed.pop())

    async def register(self, session: aiohttp.ClientSession, key: str, body: bytes) -> None:
        said = {"s3Key": key, "originalName": "cat.jpg", "mimeType": "image/jpeg", "size": len(body)}
        made = await self.ask(session, "register", "POST", "/v1/files", said)
        self.promises.append(Promise(made["id"], key, body))

    async def delete(self, session: aiohttp.ClientSession) -> None:
        promise = self.any(lambda each: each.there is True)
        if promise is not None:
            promise.there = promise.shown = None
            await self.ask(session, "delete", "DELETE", f"/v1/files/{promise.id}")
            promise.there = promise.shown = False

    async def hide(self, session: aiohttp.ClientSession) -> None:
        promise = self.any(lambda each: each.there is True and each.shown is True)
        if promise is not None:
            promise.shown = None
            await self.ask(session, "hide", "PATCH", f"/v1/files/{promise.id}", {"visibility": "private"})
            promise.shown = False

    async def peek(self, session: aiohttp.ClientSession) -> None:
        """Ask the edge for what was taken away."""
        promise = self.any(lambda each: each.shown is False)
        if promise is not None:
            await self.expect(session, promise)

    async def expect(self, session: aiohttp.ClientSession, promise: Promise) -> None:
        """What the edge shows is what was acknowledged."""
        hidden = promise.shown is False
        async with session.get(f"/filters:format(jpeg)/{promise.key}") as answer:
            status, _ = answer.status, await answer.read()
        if hidden and status != 404:
            self.broken.append(f"{promise.key} was shown: {status}")
        elif promise.shown is True and status != 200:
            self.broken.append(f"{promise.key} was not shown: {status}")

    async def ask(
        self, session: aiohttp.ClientSession, name: str, method: str, path: str, body: Any = None
    ) -> Any:
        """Ask, and count what is answered; say when it has begun."""
        self.begun.setdefault(name, asyncio.Event()).set()
        async with session.request(method, path, json=body, headers=self.headers) as answer:
            told = await answer.json()
        if answer.status >= 300:
            self.broken.append(f"{name}: {answer.status} {told}")
            self._enough.set()
            raise aiohttp.ClientError
        self.done[name] += 1
        self._left -= 1
        if self._left <= 0:
            self._enough.set()
        return told

    def any(self, fits: Callable[[Promise], bool]) -> Promise | None:
        """One of the late ones."""
        found = [each for each in self.promises[-200:] if fits(each)]
        return self.lots.choice(found) if found else None

    async def until_killed(self, name: str) -> None:
        """Let all work, and kill the server a moment after something was begun."""
        working = [asyncio.create_task(self.work()) for _ in range(_CLIENTS)]
        self._left = self.lots.randint(5, 60)
        self._enough.clear()
        await self._enough.wait()
        begun = self.begun[name] = asyncio.Event()
        with suppress(TimeoutError):
            await asyncio.wait_for(begun.wait(), 20)
        await asyncio.sleep(self.lots.uniform(0, 0.03))
        await asyncio.to_thread(self.server.kill)
        for each in working:
            each.cancel()
        ended = await asyncio.gather(*working, return_exceptions=True)
        assert [each for each in ended if not isinstance(each, asyncio.CancelledError)] == []

    async def look_around(self) -> None:
        """After a restart: whatever was acknowledged is so, and what was not is one thing or the other."""
        async with self.session() as session:
            for promise in self.promises[-200:]:
                await self.look_at(session, promise)

    async def look_at(self, session: aiohttp.ClientSession, promise: Promise) -> None:
        async with session.get(f"/v1/files/{promise.id}", headers=self.headers) as answer:
            there, told = answer.status == 200, await answer.json()
        if promise.there is not None and promise.there != there:
            self.broken.append(f"{promise.key} is there: {there}, and was acknowledged otherwise")
        promise.there = there
        shown = there and told["visibility"] == "public"
        if promise.shown is not None and promise.shown != shown:
            self.broken.append(f"{promise.key} is public: {shown}, and was acknowledged otherwise")
        promise.shown = shown
        await self.expect(session, promise)


@pytest.mark.soak
async def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path, tell: Tell) -> None:
    lots = random.Random(5)  # noqa: S311 - which moment is no secret
    server = Server(
        tmp_path,
        IMGPROXY_API_RATE="0",
        IMGPROXY_SECRET="one that outlives the server, too",
        IMGPROXY_UNREGISTERED="public",
    )
    try:
        server.start()
        key = server.run("key", "create", "--kind", "sk").split()[-1]
        clients = Clients(server, {"X-API-Key": key}, lots)
        for number in range(_KILLS):
            await clients.until_killed(("register", "delete", "complete", "hide")[number % 4])
            server.start()
            await clients.look_around()
            assert clients.broken == []
            if number % 10 == 9:
                tell(f"{number + 1} kills, {dict(clients.done)} acknowledged")
        server.stop()
    finally:
        server.kill()
    found = await _drained(tmp_path, server.objects)
    assert_nothing_is_left_over(found, server.objects, clients.promises)
    tell(f"{len(found.files)} files are as they were acknowledged, and nothing else lies there")


async def _drained(folder: Path, objects: Path) -> Record:
    """Let all time pass that anything waits for, and do all that is due."""

    def clock() -> int:
        return time.time_ns() // 1_000_000 + later

    _age(objects / ".uploads", "*")
    _age(objects / ".parts", ".*")  # uploads that were being begun or removed
    database, storage = await open_database(SqliteUrl(folder / "imgproxy.db")), LocalStorage(objects)
    ids, later = IdGenerator(clock, random.Random(7).randbytes), 0  # noqa: S311 - nothing is drawn that lasts
    try:
        await storage.check()  # which writes, and so finds what nobody goes on with
        for _ in range(3):
            later += _LATER
            await Retention(database, ids=ids).round()
            await OutboxWorker(database, handlers(storage, Front()), clock=clock).drain()
            found = await Sweep(database=database, objects=storage, ids=ids).run()
            assert (found.noted, found.removed, found.missing) == (0, 0, [])
        return await database.read(record)
    finally:
        await storage.close()
        await database.close()


def _age(folder: Path, pattern: str) -> None:
    """Date back what killed writers left: storage removes it an hour later."""
    then = time.time() - 2 * 3600
    for path in folder.glob(pattern):
        os.utime(path, (then, then))


def assert_nothing_is_left_over(found: Record, objects: Path, promises: list[Promise]) -> None:
    """What lies there is the files that were acknowledged, in their own bytes."""
    ready = {file.key: file for file in found.files.values() if file.state is FileState.READY}
    for promise in promises:
        assert (promise.key in ready) == promise.there
        if promise.there:
            assert (objects / ready[promise.key].object_key).read_bytes() == promise.body
    lying = {str(path.relative_to(objects)) for path in objects.rglob("*") if path.is_file()}
    kept = {file.object_key for file in found.files.values() if file.state is not FileState.PURGED}
    assert lying == kept
    assert found.tasks == []
