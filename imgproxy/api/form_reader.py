"""Bounded reading of `multipart/form-data`: parts, bytes of a part's head, and seconds.

aiohttp's reader bounds none of these together, and reads what is buffered without a pause: 4 MiB of empty
fields held the event loop for seconds.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable
from typing import TypeVar, cast

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.multipart import BadContentDispositionHeader, BadContentDispositionParam

from imgproxy.api.put_object import SLOWEST
from imgproxy.errors import BodyTooLarge, InvalidRequest

MAX_PARTS = 100
MAX_HEAD_BYTES = 8 * 1024
MAX_HEADERS = 16
CHUNK = 64 * 1024
_SILENCE_SECONDS = 30.0
_LINES = 32  # between two pauses
_MALFORMED = (BadContentDispositionHeader, BadContentDispositionParam)
_REFUSALS = (AssertionError, LookupError, RuntimeError, ValueError, HttpProcessingError)
"""Errors of the parser about a client's bytes."""

_PLAIN = ("7bit", "8bit", "binary")

Read = TypeVar("Read")

for _each in _MALFORMED:  # Python remembers each text that it warns of, and clients write these
    warnings.filterwarnings("ignore", category=_each)


class FormReader:
    """The parts of one form, from front to back."""

    def __init__(self, http: web.Request) -> None:
        """Raise `InvalidRequest` if the request is no form."""
        self._content = _Content(http.content)
        self._parts = 0
        self._begun = asyncio.get_running_loop().time()
        try:
            self._reader = MultipartReader(
                http.headers,
                cast(StreamReader, self._content),
                max_field_size=MAX_HEAD_BYTES,
                max_headers=MAX_HEADERS,
            )
        except (AssertionError, KeyError, ValueError):
            raise InvalidRequest("the form names no boundary") from None

    async def next(self) -> BodyPartReader | None:
        """Return the next part, None at the end; raise `BodyTooLarge` or `InvalidRequest`."""
        await asyncio.sleep(0)  # the body may all be here
        part = await self._patiently(self._reader.next())
        if part is None:
            return None
        if not isinstance(part, BodyPartReader):
            raise InvalidRequest("a form without forms in it is expected")
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BodyTooLarge(f"form: must have at most {MAX_PARTS} parts")
        if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in _PLAIN:
            raise InvalidRequest("Content-Transfer-Encoding: must be binary (RFC 7578 §4.7)")
        if part.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise InvalidRequest("Content-Encoding: must be identity in a part of a form")
        _check_disposition(part)
        return part

    async def chunk(self, part: BodyPartReader) -> bytes:
        """Read some more of a part; raise `InvalidRequest`."""
        return await self._patiently(part.read_chunk(CHUNK))

    async def _patiently(self, reading: Awaitable[Read]) -> Read:
        """Read some more; raise `InvalidRequest` when it does not come, comes too slowly, or is no form."""
        now = asyncio.get_running_loop().time()
        left = self._begun + _SILENCE_SECONDS + self._content.received / SLOWEST - now
        try:
            async with asyncio.timeout(min(_SILENCE_SECONDS, left)):
                return await reading
        except TimeoutError:
            raise InvalidRequest("the body came too slowly") from None
        except (OSError, web.RequestPayloadError) as error:
            raise InvalidRequest("the body broke off") from error
        except LineTooLong:
            raise _head_too_large() from None
        except (
            *_MALFORMED,
            AssertionError,
            LookupError,
            RuntimeError,
            ValueError,
            HttpProcessingError,
        ) as error:
            # whatever a parser says of a stranger's bytes
            raise InvalidRequest("the body is not a whole multipart/form-data") from error


class _Content:
    """The body as the multipart reader takes it: what is read by lines is a part's head."""

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        self._lines = 0
        self._head = 0
        self.received = 0

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """Read a line of a head, a boundary, or what stands before the first one."""
        line = await self._content.readline(max_line_length=max_line_length or MAX_HEAD_BYTES)
        self._lines += 1
        self._head += len(line)
        self.received += len(line)
        if self._head > MAX_HEAD_BYTES:
            raise _head_too_large()
        if self._lines % _LINES == 0:
            await asyncio.sleep(0)
        return line

    async def read(self, size: int = -1) -> bytes:
        """Read some of what a part holds."""
        chunk = await self._content.read(size)
        self._head = 0
        self.received += len(chunk)
        return chunk

    def unread_data(self, data: bytes) -> None:
        """Give back what belongs to the next part."""
        self.received -= len(data)
        self._content.unread_data(data)

    def at_eof(self) -> bool:
        """Return whether the body has ended."""
        return self._content.at_eof()


def _check_disposition(part: BodyPartReader) -> None:
    """Raise `InvalidRequest` if the header that names a part cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            _ = part.name, part.filename
        except _MALFORMED:
            raise InvalidRequest(
                "Content-Disposition: must be form-data with a name (RFC 7578 §4.2)"
            ) from None


def _head_too_large() -> BodyTooLarge:
    return BodyTooLarge(f"form: must have at most {MAX_HEAD_BYTES} bytes of headers in a part")
