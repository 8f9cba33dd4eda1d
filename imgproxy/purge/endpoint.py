"""PURGE /{key}: purge a source image and all results of it, by the method of Varnish, nginx and Fastly.

Each purge costs the server a fetch and a decode for each variant, so it needs a secret.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from aiohttp import web

from imgproxy.errors import NotSigned, Unavailable
from imgproxy.http.client_address import DIRECT, Clients
from imgproxy.http.rate_limits import WrongCredentials
from imgproxy.image.source import Key, decode_name, parse_key


class PurgeEndpoint:
    """Handler of PURGE; the secret is sent as `Authorization: Bearer …`."""

    def __init__(
        self,
        broadcast: Callable[[Key], Awaitable[None]],
        *,
        record: Callable[[Key], None] = lambda _: None,
        secret: str,
        clients: Clients = DIRECT,
        wrong: WrongCredentials | None = None,
    ) -> None:
        """`broadcast` applies a purge in every process; `record`, which may block, makes it last.

        It is recorded first: a process that starts or reads the disk cache meanwhile then knows of it.
        """
        self._broadcast = broadcast
        self._record = record
        self._secret = secret
        self._clients = clients
        self._wrong = wrong or WrongCredentials(0)

    async def handle(self, http: web.BaseRequest) -> web.Response:
        """Purge the key in the path; the response means that no process serves older bytes."""
        client = self._clients.name(http)
        self._wrong.refuse_locked(client)
        scheme, _, given = http.headers.get("Authorization", "").partition(" ")
        fits = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._secret.encode())
        if scheme.lower() != "bearer" or not fits:
            self._wrong.wrong(client)
            raise NotSigned("PURGE needs the secret of this deployment: Authorization: Bearer …")
        self._wrong.right(client)
        key = parse_key(decode_name(http.raw_path.partition("?")[0].removeprefix("/"))[0])
        await self._purge(key)
        return web.json_response({"purged": key}, headers={"Cache-Control": "no-store"})

    async def _purge(self, key: Key) -> None:
        failure = None
        try:
            await asyncio.to_thread(self._record, key)
        except OSError as error:
            failure = error
        await self._broadcast(key)
        if failure is not None:
            raise Unavailable("the purge would not outlast a restart: the disk cache fails") from failure


def path_of(key: Key) -> str:
    """Return the path whose PURGE purges a key."""
    return "/" + quote(key, safe="/")
