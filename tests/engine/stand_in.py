"""A worker that makes no pictures: it does what the source image says, locked in as every worker is.

The source image is one line, a word and perhaps a number:

    echo          write the source image into the result
    sleep S       be in C for so long, as a decoder stuck in one scanline
    spin S        be busy for so long, in Python
    toil          be busy until asked to stop
    obey S        work for so long, unless asked to stop, as libvips does
    crash         die of a bad address
    quit          end without a word
    grow N        keep so many megabytes, and echo
    take N        ask for so many megabytes at once
    defect        raise what nobody expects
    refuse        raise an error for the asker
    babble        send what no worker would
    blab          answer, and answer again
    lie           say that the result is larger than it is
    write         change the source image
    count         say how many descriptors are open
    many N        write so many megabytes
    tell N        say so many letters about the result

With `mute`, `deaf`, `loud` as its argument it never becomes ready: says nothing, ends at once, complains.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import socket

from imgproxy.engine import worker
from imgproxy.engine.worker_protocol import Job, Rendered
from imgproxy.errors import UnsupportedImage
from imgproxy.image.formats import Format

KEPT: list[bytearray] = []
LOST_ADDRESS = 8


class Stoppable:
    """What libvips's images are to the watchdog."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def set_kill(self, kill: bool) -> None:
        """Ask it to stop."""
        if kill:
            self._stopped.set()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def work(self, seconds: float) -> None:
        """Work until done, or stopped."""
        if self._stopped.wait(seconds):
            raise RuntimeError("killed")


def spin(seconds: float) -> None:
    """Keep a processor busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def take(megabytes: float) -> None:
    """Ask for memory at once."""
    bytearray(int(megabytes * 1024**2))


def grow(megabytes: float) -> None:
    """Ask for memory, use it, and keep it."""
    KEPT.append(bytearray(b"x") * int(megabytes * 1024**2))


def defect(_: float) -> None:
    """Be wrong."""
    raise ZeroDivisionError("a secret that only the log may know")


def refuse(_: float) -> None:
    """Find the source image at fault."""
    raise UnsupportedImage("the source image is no picture")


ACTS: dict[str, Callable[[float], object]] = {
    "sleep": time.sleep,
    "spin": spin,
    "grow": grow,
    "take": take,
    "defect": defect,
    "refuse": refuse,
    "crash": lambda _: ctypes.string_at(LOST_ADDRESS),
    "quit": lambda _: os._exit(3),
    "babble": lambda _: CHANNEL.sendmsg([b'{"rendered": {"format": "exe"}}']),
    "blab": lambda _: CHANNEL.sendmsg([b'{"error": "BrokenImage", "message": "first"}']),
}


def render(
    job: Job, original: int | None, overlays: Sequence[int], result: int, *, stop: Callable[[Any], None]
) -> Rendered:
    """Do what the source image says; the result is what was read, and what the overlays say."""
    assert original is not None
    said = b"".join(os.read(each, 1000) for each in (original, *overlays))
    word, _, number = said.decode().partition(" ")
    if word == "obey":
        image = Stoppable()
        stop(image)
        image.work(float(number))
    elif word == "toil":
        image = Stoppable()
        stop(image)
        while not image.stopped:
            spin(0.01)
        raise RuntimeError("killed")
    elif word == "write":
        os.write(original, b"overwritten")
    elif word == "count":
        said = str(open_descriptors()).encode()
    elif word == "many":
        said = bytes(int(float(number) * 1024**2))
    elif word in ACTS:
        ACTS[word](float(number or 0))
    size = os.write(result, said)
    info = {"told": "x" * int(number)} if word == "tell" else {}
    return Rendered(Format.JPEG, 1, 1, 1, size + (word == "lie"), 0, 0, info)


def open_descriptors() -> int:
    """How many descriptors this process has."""
    found = 0
    for descriptor in range(64):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        found += 1
    return found


def nothing() -> None:
    """Have nothing to prepare or to warm."""


def describe() -> tuple[str, tuple[str, ...]]:
    """Have no libvips."""
    return "none", ()


if __name__ == "__main__":
    if sys.argv[1] == "mute":
        time.sleep(60)
    if sys.argv[1] in ("deaf", "loud"):
        sys.exit("it cannot be" if sys.argv[1] == "loud" else 4)
    CHANNEL = socket.socket(fileno=int(sys.argv[-1]))
    worker.start(
        CHANNEL, memory=int(sys.argv[-2]), render=render, prepare=nothing, warm=nothing, describe=describe
    )
