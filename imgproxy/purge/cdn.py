"""Purges of CDNs and proxies in front of the server, over HTTP.

A CDN purges by tag, all sizes of a file at once. nginx purges by exact URL, for each class of clients in
nginx.conf: the URL of the file itself, and those that were served (`purge/urls.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from urllib.parse import quote

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from imgproxy.errors import Unavailable
from imgproxy.image.source import Key
from imgproxy.purge.target import PurgeTarget

_SECONDS = 10.0
_NOTHING_THERE = (404, 410)
"""Status of nginx for a URL that is not cached."""
_CLASSES = ("avif", "webp", "legacy")  # of nginx.conf, in the header `Pictures`


class CdnPurger:
    """Purges of all caches in front, if there are any."""

    def __init__(
        self, targets: Sequence[PurgeTarget], *, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> None:
        """`headers` go to each cache; `body` is the JSON of a POST, with `{key}` and `{tag}`."""
        self._targets = targets
        self._headers = dict(headers or {})
        self._body = body
        self._session: ClientSession | None = None

    async def forget(self, key: Key) -> None:
        """Purge a file from every cache; raise `Unavailable` if one fails."""
        asked = (self._tell(target, key) for target in self._targets)
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    @property
    def forgets_by_url(self) -> bool:
        """Whether a cache is purged by URL, and not by tag."""
        return any(map(_is_by_url, self._targets))

    async def forget_targets(self, targets: Sequence[str]) -> None:
        """Purge raw request targets from the caches that know no tags; raise `Unavailable`."""
        for cache in filter(_is_by_url, self._targets):
            for target in targets:
                url = URL(cache.url.replace("{key}", target.removeprefix("/")), encoded=True)
                await asyncio.gather(
                    *(self._send("PURGE", url, {"Pictures": each}, None) for each in _CLASSES)
                )

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    async def _tell(self, target: PurgeTarget, key: Key) -> None:
        url = _filled(target.url, quote(key), key)
        if target.method == "POST":
            body = _filled(self._body, _in_json(key), key).encode()
            await self._send("POST", url, {"Content-Type": "application/json"}, body)
            return
        for each in _CLASSES:
            await self._send("PURGE", url, {"Pictures": each}, None)

    async def _send(
        self, method: str, url: str | URL, headers: Mapping[str, str], body: bytes | None
    ) -> None:
        if self._session is None:
            self._session = ClientSession(timeout=ClientTimeout(total=_SECONDS), cookie_jar=DummyCookieJar())
        try:
            async with self._session.request(
                method, url, headers={**self._headers, **headers}, data=body, allow_redirects=False
            ) as response:
                status = response.status
        except (ClientError, OSError, TimeoutError) as error:
            raise Unavailable("a cache in front cannot be reached") from error
        if not 200 <= status < 300 and status not in _NOTHING_THERE:
            raise Unavailable(f"a cache in front answered {status} to a purge")


def _is_by_url(target: PurgeTarget) -> bool:
    return target.method == "PURGE" and "{key}" in target.url and "{tag}" not in target.url


def _filled(text: str, name: str, key: Key) -> str:
    return text.replace("{tag}", tag_of(key)).replace("{key}", name)


def _in_json(key: Key) -> str:
    return key.replace("\\", "\\\\").replace('"', '\\"')


def tag_of(key: Key) -> str:
    """Return the cache tag of every response with this source."""
    return f"k-{_hash(key)}"


def tenant_tag(tenant: str) -> str:
    """Return the cache tag of every response with a source of this tenant."""
    return f"t-{_hash(tenant)}"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
