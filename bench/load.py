"""Load: how many answers a second a server can give, and how long they take at a rate that it can hold.

`wrk` and `pictures` are closed-loop and say what saturates: the first by wrk for one URL, the second for
many pictures, each looked at. `latencies` is open-loop: the moments of arrival are fixed beforehand and time
counts from them, so a server that stalls is not spared the requests that it kept from being sent (coordinated
omission).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pyvips

from bench.figure import Missing, Turn
from bench.pictures import Wish

Address = Callable[[Wish], str]
"""The target under which a server has a picture."""

_LOADERS = {"jpeg": "jpegload_buffer", "webp": "webpload_buffer", "avif": "heifload_buffer"}
_LOOKED_AT = 8  # answers of each connection in each turn whose pictures are opened


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with status 200."""

    head: bytes
    body: bytes


class WrongAnswer(RuntimeError):
    """A server answered something else than what it was asked for, so its numbers mean nothing."""


def wrk(url: str, *, seconds: float = 3, connections: int = 16, script: Path | None = None) -> Turn:
    """Ask for one URL over kept connections, from one thread of wrk; raise `Missing`, `WrongAnswer`.

    `script` is Lua that says how, if it is no bare GET.
    """
    if shutil.which("wrk") is None:
        raise Missing("wrk is not installed: apt-get install wrk")
    asked = ["-s", str(script)] if script else []
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", *asked, url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) requests in ([\d.]+)s", said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise WrongAnswer(f"{url}: {said}")
    return Turn(int(found[1]), float(found[2]))


# -- many pictures, closed-loop ----------------------------------------------------------------------------


def pictures(
    base: str,
    address: Address,
    wishes: Iterator[Wish],
    *,
    connections: int,
    seconds: float = 1e9,
    count: int | None = None,
    fresh: bytes = b"",
) -> Turn:
    """Ask for pictures, each once; ends after so many seconds or, if told, so many pictures.

    A sample is opened: type and width must be those of the wish. `fresh` must stand in each answer's head.
    """
    return asyncio.run(_pictures(base, address, wishes, connections, seconds, count, fresh))


async def _pictures(
    base: str,
    address: Address,
    wishes: Iterator[Wish],
    connections: int,
    seconds: float,
    count: int | None,
    fresh: bytes,
) -> Turn:
    begun = time.perf_counter()
    until = begun + seconds
    left = iter(range(count)) if count is not None else None
    samples: list[tuple[Wish, bytes]] = []

    async def ask() -> int:
        link = await Link.open(base)
        done = 0
        while time.perf_counter() < until and (left is None or next(left, None) is not None):
            wish = next(wishes)
            answer = await link.get(address(wish))
            if fresh not in answer.head:
                raise WrongAnswer(f"{address(wish)} was answered from a cache:\n{answer.head.decode()}")
            done += 1
            if done <= _LOOKED_AT:
                samples.append((wish, answer.body))
        link.close()
        return done

    done = sum(await asyncio.gather(*(ask() for _ in range(connections))))
    taken = time.perf_counter() - begun
    for wish, body in samples:
        check(wish, body)
    return Turn(done, taken)


def check(wish: Wish, body: bytes) -> None:
    """Raise `WrongAnswer` unless the body is a picture of the wish's type and width."""
    try:
        picture = getattr(pyvips.Image, _LOADERS[wish.type])(body)
        picture.avg()
    except pyvips.Error as error:
        raise WrongAnswer(f"{wish}: no picture of this type came: {error}") from None
    if picture.width != wish.width:
        raise WrongAnswer(f"{wish}: a picture of {picture.width}×{picture.height} came")


class Link:
    """A kept connection; a bare client, which leaves the machine to the server."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host, self._reader, self._writer = host, reader, writer

    @classmethod
    async def open(cls, base: str) -> Link:
        """Connect to the server of a base URL."""
        parts = urlsplit(base)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
        return cls(parts.netloc, reader, writer)

    async def get(self, target: str) -> Answer:
        """Ask for a target; raise `WrongAnswer` if its status is not 200."""
        request = f"GET {target} HTTP/1.1\r\nHost: {self._host}\r\nUser-Agent: bench\r\n\r\n"
        self._writer.write(request.encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        body = await self._body(head.lower())
        if head.split(b" ", 2)[1] != b"200":
            raise WrongAnswer(f"{target}:\n{head.decode()}{body[:500]!r}")
        return Answer(head, body)

    async def _body(self, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" not in head:
            return await self._reader.readexactly(_length(head))
        blocks = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            blocks.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(blocks)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def _length(head: bytes) -> int:
    return int(head.split(b"content-length: ")[1].split(b"\r\n")[0])


# -- one URL, open-loop ------------------------------------------------------------------------------------


def latencies(
    port: int, target: str, *, a_second: float, seconds: float, connections: int = 16
) -> list[float]:
    """Seconds that each answer took from the moment at which it was due, sorted.

    A thread a connection, because their sleep is exact to 0.1 ms and an event loop's to a whole one. Where it
    may, this process goes before all others meanwhile, so that what is measured is not its own waiting for a
    core: people's browsers do not run on the server.
    """
    begun = time.perf_counter() + 0.1
    due = iter([begun + number / a_second for number in range(int(a_second * seconds))])
    request = f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()

    def ask(_: int) -> list[float]:
        _go_first()
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return [_once(link, request, moment) for moment in due]

    with ThreadPoolExecutor(connections) as executor:
        return sorted(taken for each in executor.map(ask, range(connections)) for taken in each)


def _go_first() -> None:
    with suppress(OSError):  # not root
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # of this thread, which ends with it


def _once(link: socket.socket, request: bytes, moment: float) -> float:
    time.sleep(max(0.0, moment - time.perf_counter()))
    link.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(link)
    head, _, body = data.partition(b"\r\n\r\n")
    if b" 200 " not in head[:16]:
        raise WrongAnswer(head.decode())
    missing = _length(head.lower() + b"\r\n") - len(body)
    while missing > 0:
        missing -= len(_some(link))
    return time.perf_counter() - moment


def _some(link: socket.socket) -> bytes:
    data = link.recv(1 << 18)
    if not data:
        raise WrongAnswer("the server hung up")
    return data


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the sorted ones do not exceed."""
    return values[min(int(len(values) * share), len(values) - 1)]
