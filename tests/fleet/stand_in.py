"""An edge that serves nothing: it joins, listens, remembers what it is told, and does what keys say.

A notice of a record acts on its key: `die` ends the process before it has acted, `stick` never finishes
acting, `spread X` has a purge of X spread by an edge whose argument is `teller`. Its metrics are what it was
told, as JSON. With `mute` as its argument it ends before it listens, with `slow` it is not dismissed.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from imgproxy.fleet.member import Member
from imgproxy.image.source import Key

TOLD: list[tuple[str, str, int]] = []
SPREADING: set[asyncio.Task[None]] = set()


async def main(word: str, channel: int) -> None:
    """Be an edge until dismissed."""
    member = Member(socket.socket(fileno=channel), measure=lambda: json.dumps(TOLD).encode())

    async def purge(key: Key, number: int) -> None:
        TOLD.append(("purge", key, number))

    async def spread(key: Key) -> None:
        await member.spread("purge", key)
        TOLD.append(("answered", key, 0))

    async def record(key: Key, number: int) -> None:
        act, _, what = key.partition(" ")
        if act == "die":
            os._exit(7)
        if act == "stick":
            await asyncio.Event().wait()
        if act == "spread" and word == "teller" and not SPREADING:
            SPREADING.add(asyncio.create_task(spread(Key(what))))
        TOLD.append(("record", key, number))

    member.subscribe("purge", purge)
    member.subscribe("record", record)
    if word == "mute":
        sys.exit("it cannot be")
    await member.join()
    await member.listening()
    await member.dismissed.wait()
    if word == "slow":
        await asyncio.Event().wait()
    await member.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
