"""Bounded reading of forms: what `aiohttp` leaves open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiohttp import BodyPartReader, StreamReader, web
from aiohttp.base_protocol import BaseProtocol

from imgproxy.api import form_reader
from imgproxy.api.form_reader import FormReader
from imgproxy.errors import BodyTooLarge, InvalidRequest

_HEAD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'


class _Request:
    """What is needed of a request."""

    def __init__(self, content_type: str = "multipart/form-data; boundary=x") -> None:
        loop = asyncio.get_running_loop()
        self.headers = {"Content-Type": content_type}
        self.content = StreamReader(cast(BaseProtocol, _Flow()), 2**16, loop=loop)


class _Flow:
    """A connection whose reading may be paused."""

    _reading_paused = False

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_named: None


def _reader(request: _Request) -> FormReader:
    return FormReader(cast(web.Request, request))


@asynccontextmanager
async def _trickling(request: _Request, pause: float) -> AsyncIterator[None]:
    async def feed() -> None:
        while True:
            request.content.feed_data(b"x")
            await asyncio.sleep(pause)

    feeding = asyncio.create_task(feed())
    try:
        yield
    finally:
        feeding.cancel()


async def _read(reader: FormReader, part: BodyPartReader) -> None:
    while not part.at_eof():
        await reader.chunk(part)


async def test_form_reader_ends_a_body_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_reader, "_SILENCE_SECONDS", 0.05)
    with pytest.raises(InvalidRequest, match="too slowly"):
        await _reader(_Request()).next()


async def test_form_reader_ends_a_body_that_trickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_reader, "_SILENCE_SECONDS", 0.2)
    request = _Request()
    request.content.feed_data(_HEAD)
    reader = _reader(request)
    part = await reader.next()
    assert part is not None
    async with asyncio.timeout(10), _trickling(request, 0.01):
        with pytest.raises(InvalidRequest, match="too slowly"):
            await _read(reader, part)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "text/plain", f"multipart/x; boundary={'x' * 71}"]
)
async def test_form_reader_refuses_what_is_no_form(content_type: str) -> None:
    with pytest.raises(InvalidRequest, match="names no boundary"):
        _reader(_Request(content_type))


async def test_form_reader_lets_others_run_between_parts_that_are_all_here() -> None:
    request = _Request()
    request.content.feed_data((_HEAD + b"\r\n") * 50 + b"--x--\r\n")
    request.content.feed_eof()
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    reader = _reader(request)
    while (part := await reader.next()) is not None:
        await _read(reader, part)
    turning.cancel()
    assert turns >= 50


async def test_form_reader_bounds_what_stands_before_the_first_part() -> None:
    request = _Request()
    request.content.feed_data(b"\n" * 9_000)
    with pytest.raises(BodyTooLarge, match="8192 bytes of headers"):
        await _reader(request).next()
