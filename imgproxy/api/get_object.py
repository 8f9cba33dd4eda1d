"""GET and HEAD of a file or an object, whole or a range.

The holder of the URL may read the bytes, and no cache may store them: `private, no-store`. Their type is the
signed one, and a page that shows them is in a sandbox, so no script in them runs.

A file's URL ends when the file has another generation: after a delete or a change of visibility. The
generation is checked before the response and before each chunk. Bytes are fetched in pieces, so a slow client
holds 1 MiB and no connection to storage.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web

from imgproxy.errors import ImgproxyError, NotSigned
from imgproxy.files.file_status import FileStatuses
from imgproxy.files.model import FileState
from imgproxy.http.headers import SANDBOX, names_etag
from imgproxy.http.ranges import OutOfRange, Span, requested
from imgproxy.image.source import Key
from imgproxy.storage import Head, Storage
from imgproxy.storage.signed_url import SignedUrl

_log = logging.getLogger(__name__)

_ANY = "application/octet-stream"
_PIECE = 1024 * 1024
_SAFE = {
    **SANDBOX,
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",  # the URL is a credential
}


@dataclass(frozen=True, slots=True)
class Files:
    """Files by their keys, while they have the generation in their URLs."""

    access: FileStatuses
    storage: Storage

    async def find(self, signed: SignedUrl) -> Key:
        """Return the object's key; raise `NotSigned` if the file has another generation."""
        wanted, record = signed.generation or 0, await self.access.look(signed.key)
        if record is None or record.generation < wanted:
            self.access.changed(signed.key)  # another machine signed a newer one, and its notice is under way
            record = await self.access.look(signed.key)
        if record is None or record.state is not FileState.READY or record.generation != wanted:
            raise NotSigned("the URL has ended: the file has been changed or deleted since")
        return record.object_key or record.key

    async def read(self, signed: SignedUrl, span: Span) -> AsyncIterator[bytes]:
        """Stream a span of a file; raise `NotSigned` as soon as its generation changes."""
        for start in range(span.start, span.end, _PIECE):
            key = await self.find(signed)
            end = min(start + _PIECE, span.end)
            for chunk in [chunk async for chunk in self.storage.read(key, start=start, end=end)]:
                await self.find(signed)  # again: reading and sending took time
                yield chunk


async def get_object(
    files: Files, signed: SignedUrl, http: web.Request, *, common: dict[str, str], patience: float
) -> web.StreamResponse:
    """Respond to a GET or HEAD; a client that reads no byte for `patience` seconds is disconnected."""
    storage = files.storage
    key = signed.key if signed.generation is None else await files.find(signed)
    head = await storage.head(key)
    headers = {**common, **_SAFE, **_describe(head, signed)}
    if names_etag(http.headers.get("If-None-Match"), headers["ETag"]):
        return web.Response(status=304, headers=headers)
    try:
        span = _span(http, head, headers)
    except OutOfRange:
        headers = {**common, **_SAFE, "Content-Range": f"bytes */{head.size}"}
        return web.Response(status=416, headers=headers)
    response = web.StreamResponse(status=206 if span else 200, headers=headers)
    if span:
        response.headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{head.size}"
    sent = span or Span(0, head.size)
    response.content_length = sent.end - sent.start
    await response.prepare(http)
    if http.method == "GET" and response.content_length:
        whole = signed.generation is None
        chunks = storage.read(key, start=sent.start, end=sent.end) if whole else files.read(signed, sent)
        await _send(chunks, response, http, patience)
    return response


def _describe(head: Head, signed: SignedUrl) -> dict[str, str]:
    described = {
        "Accept-Ranges": "bytes",
        "Content-Type": signed.content_type or _ANY,  # never the uploader's declared type
        "ETag": f'"{head.version}"',
        "Last-Modified": formatdate(head.modified, usegmt=True),
    }
    if signed.disposition is not None:
        described["Content-Disposition"] = signed.disposition
    return described


def _span(http: web.Request, head: Head, headers: dict[str, str]) -> Span | None:
    """Return the range to send; None for the whole, also if the client's beginning is of another version."""
    condition = http.headers.get("If-Range")
    if http.method != "GET" or condition not in (None, headers["ETag"], headers["Last-Modified"]):
        return None
    return requested(http.headers.get("Range"), head.size)


async def _send(
    chunks: AsyncIterator[bytes], response: web.StreamResponse, http: web.Request, patience: float
) -> None:
    """Send chunks at the client's pace; abort the connection on failure, so that the client notices."""
    try:
        async with aclosing(chunks) as reading:  # type: ignore[type-var]  # every storage's is a generator
            async for chunk in reading:
                async with asyncio.timeout(patience):
                    await response.write(chunk)
    except (ImgproxyError, TimeoutError) as error:
        _log.warning("a download broke off: %s", error.__cause__ or error or "the client took nothing")
        if http.transport is not None:
            http.transport.abort()
