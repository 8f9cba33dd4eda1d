"""The same request, sent again because its answer was lost, is done once and answered twice.

As draft-ietf-httpapi-idempotency-key-header-07 has it: 409 while the first is being worked on, 422 when the
key comes with another request, and the first one's answer for a day. Only what succeeded is remembered: what
failed has changed nothing and may be tried again under the same key.

A streamed body has no fingerprint before it is read. Its request begins under the fingerprint of its head,
and ends under that of the whole; a repetition is read to its end and compared, and nothing of it is stored.
Responses that hold a signed URL are kept encrypted. Without the secret, which is another after a restart if
`IMGPROXY_SECRET` is not set, they cannot be read, and the request is done anew.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from imgproxy.api.fingerprint import Fingerprint
from imgproxy.api.reply import Reply
from imgproxy.api.seal import Seal
from imgproxy.errors import ImgproxyError, InvalidRequest, KeyReused, StillRunning
from imgproxy.files.model import StoredRequest, TenantId
from imgproxy.files.principal import Principal

_log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
KEPT_MS = 24 * 3600 * 1000
ABANDONED_MS = 10 * 60 * 1000
"""Who has begun and not ended after this has crashed; the same key may begin anew. To freeze the largest
objects takes up to five minutes."""

_LONGEST = 255


class Replies(Protocol):
    """Where requests are remembered."""

    async def remember(
        self, tenant: TenantId, principal: str, key: str, *, request_sha256: bytes, now: int, expires_at: int
    ) -> StoredRequest | None:
        """Begin a request: None if it is new, or what is remembered of the first one with this key."""

    async def answer(self, tenant: TenantId, principal: str, key: str, remembered: StoredRequest) -> None:
        """Keep the answer of a request that has begun, and the fingerprint that it has now."""

    async def forget(self, tenant: TenantId, principal: str, key: str) -> None:
        """Forget a request that failed."""


async def _nothing() -> None:
    """Read nothing: the fingerprint has the whole body."""


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request with an Idempotency-Key."""

    key: str
    fingerprint: Fingerprint
    read: Callable[[], Awaitable[None]] = _nothing
    """Read a streamed body into the fingerprint, and do nothing else with it."""
    signs: bool = False
    """Whether the response holds a signed URL."""


@dataclass(frozen=True, slots=True)
class _Place:
    tenant: TenantId
    principal: str
    key: str

    @property
    def name(self) -> bytes:
        return "\0".join((self.tenant, self.principal, self.key)).encode()


class Once:
    """Does what has a key once."""

    def __init__(self, replies: Replies, *, seal: Seal, clock: Callable[[], int]) -> None:
        """`clock` tells milliseconds since 1970; `seal` encrypts responses that hold a signed URL."""
        self._replies = replies
        self._seal = seal
        self._clock = clock

    async def run(
        self, principal: Principal, request: Repeatable, work: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        """Do `work`, or give the answer that it had; raise `StillRunning` or `KeyReused`."""
        place = _Place(principal.tenant, principal.name, request.key)
        first = await self._begin(place, request.fingerprint)
        if first is not None:
            reply = await self._replay(place, first, request)
            if reply is not None:
                return reply
            await self._forget(place)
            if await self._remember(place, request.fingerprint) is not None:
                raise _still_running()
        try:
            reply = await work()
        except BaseException:
            await self._forget(place)
            raise
        await self._keep(place, request, reply)
        return reply

    async def _replay(self, place: _Place, first: StoredRequest, request: Repeatable) -> Reply | None:
        """Return the first request's answer; None if its secret is no more."""
        if first.status is not None:
            await request.read()
        if first.request_sha256 != request.fingerprint.digest():
            raise KeyReused(f"{HEADER}: this key has come with another request already; draw a new one")
        if first.status is None:
            raise _still_running()
        body = self._seal.open(first.body, place=place.name) if request.signs else first.body
        return None if body is None else Reply(first.status, dict(first.headers), body, replayed=True)

    async def _keep(self, place: _Place, request: Repeatable, reply: Reply) -> None:
        """Remember what is done; that it could not be is no reason to say it is not done."""
        body = self._seal.close(reply.body, place=place.name) if request.signs else reply.body
        digest = request.fingerprint.digest()
        remembered = StoredRequest(digest, self._clock(), reply.status, reply.headers, body)
        try:
            await self._replies.answer(place.tenant, place.principal, place.key, remembered)
        except ImgproxyError as error:
            _log.warning("an answer could not be remembered: %s", error)

    async def _forget(self, place: _Place) -> None:
        try:
            await self._replies.forget(place.tenant, place.principal, place.key)
        except ImgproxyError as error:
            _log.warning("a request could not be forgotten: %s", error)

    async def _begin(self, place: _Place, fingerprint: Fingerprint) -> StoredRequest | None:
        """None if the work is ours to do."""
        first = await self._remember(place, fingerprint)
        abandoned = self._clock() - ABANDONED_MS
        if first is None or first.status is not None or first.created_at > abandoned:
            return first
        await self._forget(place)
        return await self._remember(place, fingerprint)

    async def _remember(self, place: _Place, fingerprint: Fingerprint) -> StoredRequest | None:
        now = self._clock()
        return await self._replies.remember(
            place.tenant,
            place.principal,
            place.key,
            request_sha256=fingerprint.digest(),
            now=now,
            expires_at=now + KEPT_MS,
        )


def _still_running() -> StillRunning:
    return StillRunning(f"{HEADER}: a request with this key is being worked on")


def parse_key(value: str) -> str:
    """The key of a header, which may stand in quotes (RFC 8941 strings); raise `InvalidRequest`."""
    text = value.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not text or len(text) > _LONGEST or not text.isascii() or not text.isprintable():
        raise InvalidRequest(f"{HEADER}: from 1 to {_LONGEST} printable ASCII characters are expected")
    return text
