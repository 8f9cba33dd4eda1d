"""An edge process that serves nothing: it records each message and acts on its key.

The key `die` ends the process before it has applied the message, `stick` never finishes, `fail` raises,
`send X` has the process whose argument is `sender` send a purge of X. Polled for `check`, it returns the
messages so far. With the argument `mute` it ends before it is ready, with `slow` it ignores SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from imgproxy.image.source import Key
from imgproxy.multiprocess import Broadcast, Link

APPLIED: list[list[object]] = []
SENDING: set[asyncio.Task[None]] = set()


async def main(argument: str, end: int) -> None:
    """Run until SIGTERM, or until the supervisor is gone."""
    if argument == "mute":
        sys.exit("it cannot start")
    stop = asyncio.Event()
    link = Link(socket.socket(fileno=end), gone=stop.set)
    broadcast = Broadcast(link)

    async def purge(key: Key, number: int) -> None:
        APPLIED.append(["purge", key, number])

    async def send(key: Key) -> None:
        await broadcast.send("purge", key)
        APPLIED.append(["sent", key, 0])

    async def change(key: Key, number: int) -> None:
        action, _, argument_of = key.partition(" ")
        if action == "die":
            os._exit(7)
        if action == "stick":
            await asyncio.Event().wait()
        if action == "fail":
            raise OSError("it cannot be applied")
        if action == "send" and argument == "sender" and not SENDING:
            SENDING.add(asyncio.create_task(send(Key(argument_of))))
        APPLIED.append(["change", key, number])

    async def check() -> list[list[object]]:
        return APPLIED

    broadcast.subscribe("purge", purge)
    broadcast.subscribe("change", change)
    link.handlers["check"] = check
    handler = (lambda: None) if argument == "slow" else stop.set
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, handler)
    async with link:
        await link.call("ready")
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
