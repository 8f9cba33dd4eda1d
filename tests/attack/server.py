"""A server in a thread of this process, as `imgproxy serve` runs it, with a watchdog on its loop."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import uvloop

from imgproxy import app
from imgproxy.cli import keys
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.model import TenantId
from imgproxy.http.listener import listen, runner
from imgproxy.image.source import parse_key
from imgproxy.settings import Settings
from imgproxy.storage.local import LocalOptions
from tests.attack.watchdog import Watchdog
from tests.attack.wire import Response, Wire
from tests.pictures import encoded, gradient

JPEG = encoded(gradient(64, 48), ".jpg")
JWT_SECRET = "a secret of at least thirty-two bytes"
WATCHDOGS: list[Watchdog] = []
"""Of every server that runs, or ran during this test."""

T = TypeVar("T")


@dataclass(frozen=True)
class Attacked:
    """A running server; its methods may be called from any thread but its own."""

    port: int
    settings: Settings
    parts: app.Server
    watchdog: Watchdog
    loop: asyncio.AbstractEventLoop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something on the server's loop, to look or reach inside."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def connect(self, *, receive_buffer: int = 0) -> Wire:
        return Wire(self.port, receive_buffer=receive_buffer)

    def request(self, target: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> Response:
        """Send one request on a connection of its own; `_` in header names stands for `-`."""
        with self.connect() as wire:
            return wire.request(target, method=method, body=body, Connection="close", **headers)

    def send(self, raw: bytes) -> Response:
        """Send raw bytes on a connection of its own and return the first response."""
        with self.connect() as wire:
            return wire.send(raw).response()

    def store(self, key: str, body: bytes) -> None:
        """Put an object into storage that no upload brought there."""

        async def chunks() -> AsyncIterator[bytes]:
            yield body

        async def put() -> None:
            await self.parts.storage.put(parse_key(key), chunks())

        self.run(put())

    def tenant(self, name: str) -> Tenant:
        """A tenant with keys of its own."""
        return Tenant(self, name, self._key("sk", name), self._key("pk", name))

    def _key(self, kind: Literal["pk", "sk"], tenant: str) -> str:
        return self.run(keys.create_key(self.settings, kind, TenantId(tenant)))[0]


@dataclass(frozen=True)
class Tenant:
    """A tenant's credentials, and what it does with them."""

    server: Attacked
    name: str
    secret_key: str
    publishable_key: str

    def token(self, user: str, *, tenant: str | None = "", seconds: int = 3600) -> str:
        """A user's token, which names this tenant unless told; None names none."""
        named = self.name if tenant == "" else tenant
        return keys.make_token(self.server.settings, user=user, seconds=seconds, tenant=named, role=None)

    def user(self, name: str) -> dict[str, str]:
        """The headers of a signed-in user."""
        return {"X_API_Key": self.publishable_key, "Authorization": f"Bearer {self.token(name)}"}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        """Call the files API with JSON, by the secret key unless headers say otherwise."""
        named = headers or {"X_API_Key": self.secret_key}
        raw = b"" if body is None else json.dumps(body).encode()
        if raw:
            named = {"Content_Type": "application/json", **named}
        return self.server.request(path, method=method, body=raw, **named)

    def presign(self, body: bytes = JPEG, **wish: Any) -> dict[str, Any]:
        """Ask for an upload URL."""
        given = {"filename": "cat.jpg", "contentType": "image/jpeg", "fileSize": len(body), **wish}
        told = self.call("POST", "/v1/files/presigned-url", given)
        assert told.status == 200, told
        return dict(told.json())

    def put(self, presigned: Mapping[str, Any], body: bytes = JPEG) -> Response:
        """Send bytes to an upload URL."""
        target = "/" + presigned["url"].split("/", 3)[3]
        named = {name.replace("-", "_"): value for name, value in presigned["headers"].items()}
        return self.server.request(target, method="PUT", body=body, **named)

    def register(self, key: str, body: bytes = JPEG, **said: Any) -> Response:
        """Make an upload a file."""
        given = {"s3Key": key, "originalName": "cat.jpg", "mimeType": "image/jpeg", "size": len(body)}
        return self.call("POST", "/v1/files", {**given, **said})

    def upload(self, body: bytes = JPEG, *, visibility: str = "public", **said: Any) -> dict[str, Any]:
        """Bring in a file; return its metadata."""
        presigned = self.presign(body, visibility=visibility)
        assert self.put(presigned, body).status == 200
        registered = self.register(presigned["key"], body, visibility=visibility, **said)
        assert registered.status == 201, registered
        return dict(registered.json())


@contextmanager
def attacked(folder: Path, **chosen: Any) -> Iterator[Attacked]:
    """Run a server over a folder; `chosen` are settings."""
    settings = Settings(
        **{
            "storage": LocalOptions(folder / "objects"),
            "database": SqliteUrl(folder / "imgproxy.db"),
            "cache_dir": folder / "cache",
            "workers": 1,
            "admin_port": 0,
            "jwt_secret": JWT_SECRET,
            "wrong_credentials": 0,  # all tests come from one address
            **chosen,
        }
    )
    if isinstance(settings.storage, LocalOptions):
        (folder / "objects").mkdir(exist_ok=True)
    began: queue.Queue[Attacked | BaseException] = queue.Queue()
    ended = asyncio.Event()
    thread = threading.Thread(target=_thread, args=(settings, began, ended))
    thread.start()
    server = began.get()
    if isinstance(server, BaseException):
        thread.join()
        raise server
    WATCHDOGS.append(server.watchdog)
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(ended.set)
        thread.join()


def _thread(settings: Settings, began: queue.Queue[Attacked | BaseException], ended: asyncio.Event) -> None:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as own:
            own.run(_serve(settings, began, ended))
    except BaseException as error:
        began.put(error)


async def _serve(
    settings: Settings, began: queue.Queue[Attacked | BaseException], ended: asyncio.Event
) -> None:
    async with app.assemble(settings) as parts:
        public = runner(parts.public, app.bounds(settings))
        try:
            await listen(public, "127.0.0.1", 0)
            watchdog = Watchdog()
            try:
                port = public.addresses[0][1]
                began.put(Attacked(port, settings, parts, watchdog, asyncio.get_running_loop()))
                await ended.wait()
            finally:
                watchdog.stop()
        finally:
            await public.cleanup()
