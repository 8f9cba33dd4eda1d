"""Load: kept connections that ask for one target after the other, and come back when they are cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

_CUT = (OSError, asyncio.IncompleteReadError)


@dataclass(frozen=True)
class Reply:
    """An answer that came whole."""

    status: int
    cache: str
    body: bytes


Hear = Callable[[str, Reply], None]


async def drive(port: int, targets: Iterator[str], hear: Hear, *, connections: int = 4) -> None:
    """Ask for every target, each once, and hear every whole answer.

    What is cut off is not asked for again: whoever kills the server cancels the load.
    """
    await asyncio.gather(*(_keep_asking(port, targets, hear) for _ in range(connections)))


async def _keep_asking(port: int, targets: Iterator[str], hear: Hear) -> None:
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        try:
            for target in targets:
                writer.write(f"GET {target} HTTP/1.1\r\nHost: soak\r\n\r\n".encode())
                hear(target, await _reply(reader))
            return
        except _CUT:
            continue
        finally:
            writer.close()
            with suppress(*_CUT):
                await writer.wait_closed()


async def _reply(reader: asyncio.StreamReader) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
    body = await reader.readexactly(int(headers["content-length"]))
    return Reply(int(head[0].split()[1]), headers.get("cache-status", ""), body)
