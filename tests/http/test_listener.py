"""What is no HTTP, or meets no route, is told so in our words, and nothing of it is repeated."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from imgproxy.http.connection_limits import Bounds
from imgproxy.http.listener import listen, runner
from imgproxy.ports import CannotListen


class Listening:
    """An application on a port."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def say(self, text: str) -> tuple[int, dict[str, str], bytes]:
        """Send bytes; return the first answer, after which the connection must be at its end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(text.encode())
            async with asyncio.timeout(10):
                raw = await reader.read()
        finally:
            writer.close()
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


async def _greet(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def _fail(_: web.Request) -> web.Response:
    raise KeyError("/etc/secret")


async def _begin_and_fail(http: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "10"})
    await response.prepare(http)
    await response.write(b"half")
    raise KeyError("/etc/secret")


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    application = web.Application()
    application.add_routes(
        [web.get("/hello", _greet), web.get("/fail", _fail), web.get("/half", _begin_and_fail)]
    )
    running = runner(application)
    await listen(running, "127.0.0.1", 0)
    try:
        yield Listening(running.addresses[0][1])
    finally:
        await running.cleanup()


LONG = "a" * 9000
HOST = "Host: x\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("text", "status", "detail"),
    [
        ("NONSENSE\r\n\r\n", 400, "HTTP/1.1 is spoken here (RFC 9112)"),
        ("GET /<script> HTTP/9.9\r\nHost: x\r\n\r\n", 400, "HTTP/1.1 is spoken here (RFC 9112)"),
        (f"GET /hello HTTP/1.1\r\nSec ret: x\r\n{HOST}\r\n", 400, "HTTP/1.1 is spoken here (RFC 9112)"),
        (f"GET /{LONG} HTTP/1.1\r\n{HOST}\r\n", 400, "a line of a request's head has at most 8190 bytes"),
        (
            f"GET /hello HTTP/1.1\r\nX-Secret: {LONG}\r\n{HOST}\r\n",
            400,
            "a line of a request's head has at most 8190 bytes",
        ),
        (f"OPTIONS * HTTP/1.1\r\n{HOST}\r\n", 404, "there is nothing here"),
        (
            f"GET /hello HTTP/1.1\r\nExpect: miracles\r\n{HOST}\r\n",
            417,
            "100-continue is all that can be expected",
        ),
        (f"GET /fail HTTP/1.1\r\n{HOST}\r\n", 500, "the request could not be answered"),
    ],
)
async def test_what_aiohttp_would_answer_by_itself_is_a_problem(
    listening: Listening, text: str, status: int, detail: str
) -> None:
    found, headers, body = await listening.say(text)
    told = json.loads(body)
    assert (found, told["status"], told["detail"]) == (status, status, detail)
    assert (headers["Content-Type"], headers["Server"]) == ("application/problem+json", "imgproxy")
    assert headers["X-Request-Id"] == told["request_id"]


async def test_what_is_no_http_is_one_line_of_log_that_repeats_nothing(
    listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await listening.say(f"GET /hello HTTP/1.1\r\nX-Secret: {LONG}\r\n{HOST}\r\n")
    assert [each.getMessage() for each in caplog.records] == ["no HTTP from 127.0.0.1: LineTooLong"]
    assert not re.search("Secret|aaaa|Traceback", caplog.text)


async def test_a_defect_is_logged_with_its_stack(
    listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    await listening.say(f"GET /fail HTTP/1.1\r\n{HOST}\r\n")
    assert "KeyError: '/etc/secret'" in caplog.text


async def test_an_answer_that_has_begun_is_broken_off(listening: Listening) -> None:
    status, _, body = await listening.say(f"GET /half HTTP/1.1\r\n{HOST}\r\n")
    assert (status, body) == (200, b"half")


async def test_what_is_http_is_answered_by_the_application(listening: Listening) -> None:
    status, _, body = await listening.say(f"GET /hello HTTP/1.1\r\n{HOST}\r\n")
    assert (status, body) == (200, b"hello")


async def test_a_port_that_is_taken_is_one_line(listening: Listening) -> None:
    second = runner(web.Application())
    try:
        with pytest.raises(CannotListen, match=rf"127\.0\.0\.1:{listening.port} cannot be listened on: "):
            await listen(second, "127.0.0.1", listening.port)
    finally:
        await second.cleanup()


@asynccontextmanager
async def _bounded(bounds: Bounds) -> AsyncIterator[Listening]:
    application = web.Application()
    application.add_routes([web.get("/hello", _greet)])
    running = runner(application, bounds)
    await listen(running, "127.0.0.1", 0)
    try:
        yield Listening(running.addresses[0][1])
    finally:
        await running.cleanup()


async def test_head_that_trickles_is_408_and_closes() -> None:
    async with _bounded(Bounds(head_timeout=0.1, every=0.05)) as listening:
        status, headers, _ = await listening.say("GET /hello HTTP/1.1\r\nX-Slow: ")
        assert (status, headers["Connection"]) == (408, "close")


async def test_visitors_are_served_while_many_connections_are_idle() -> None:
    async with _bounded(Bounds(connections=20)) as listening:
        idle = [await asyncio.open_connection("127.0.0.1", listening.port) for _ in range(100)]
        for _ in range(5):
            status, _, body = await listening.say(f"GET /hello HTTP/1.1\r\n{HOST}\r\n")
            assert (status, body) == (200, b"hello")
        async with asyncio.timeout(5):
            assert await idle[0][0].read() == b""  # the oldest was closed
        for _, writer in idle:
            writer.close()


async def test_visitors_are_served_while_many_connections_owe_the_rest_of_an_answered_request() -> None:
    async with _bounded(Bounds(connections=20)) as listening:
        owing = []
        for _ in range(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", listening.port)
            writer.write(b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            assert await reader.readline() == b"HTTP/1.1 405 Method Not Allowed\r\n"
            owing.append(writer)
        status, _, body = await listening.say(f"GET /hello HTTP/1.1\r\n{HOST}\r\n")
        assert (status, body) == (200, b"hello")
        for writer in owing:
            writer.close()


async def test_head_in_pieces_does_not_end_a_connection_that_is_kept() -> None:
    async with _bounded(Bounds(head_timeout=0.1, every=0.05)) as listening:
        reader, writer = await asyncio.open_connection("127.0.0.1", listening.port)
        for _ in range(2):
            writer.write(b"GET /hello HTTP/1.1\r\n")
            await asyncio.sleep(0.01)  # a segment of its own
            writer.write(b"Host: x\r\n\r\n")
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.3)
        writer.close()
