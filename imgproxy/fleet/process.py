"""One edge's process as its parent sees it: launched with its sockets, talked to, ended, buried.

`launch` and `bury` block, and are for a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import imgproxy
from imgproxy.fleet.channel import Channel, Handler

_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from imgproxy.cli import main; sys.exit(main())"
COMMAND = (sys.executable, "-c", _BOOT, str(Path(imgproxy.__path__[0]).parent))
"""`imgproxy`, of the very code that the parent runs, wherever that was started."""

_LAST_SECONDS = 5.0
"""For a process that has closed its channel, to end."""


class Launched(NamedTuple):
    """A process that was started, and our end of its channel."""

    process: subprocess.Popen[bytes]
    end: socket.socket


def launch(command: Callable[[int], Sequence[str]], listeners: Sequence[socket.socket]) -> Launched:
    """Start an edge; `command` is told the descriptor of its channel. Raise OSError if it cannot be.

    It inherits the listening sockets under their own numbers. They stay open here, so that connections wait
    for whoever comes in its place.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        process = subprocess.Popen(  # noqa: S603  our own command
            list(command(theirs.fileno())),
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *(each.fileno() for each in listeners)),
            start_new_session=True,  # a terminal's Ctrl-C is for the parent
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return Launched(process, ours)


class EdgeProcess:
    """A launched edge."""

    def __init__(self, launched: Launched, answer: Callable[[EdgeProcess], Handler]) -> None:
        """`answer` makes what answers its questions."""
        self._process = launched.process
        self.pid = launched.process.pid
        self.gone = asyncio.Event()
        """Set when it has closed its channel, or ended."""
        self.joined = False
        """Whether it has what others know in its memory, and must be told what happens."""
        self.listening = asyncio.Event()
        self.channel = Channel(launched.end, answer(self), gone=self.gone.set)

    def kill(self) -> None:
        """End it at once, with nothing finished."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def bury(self) -> str:
        """Wait until the process is gone, and say how it went. Blocks."""
        try:
            code = self._process.wait(_LAST_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        return str(signal.strsignal(-code)) if code < 0 else f"exit status {code}"
