"""Worker process seen from the server: launched, given one job at a time, ended, reaped.

Methods are called on the event loop's thread and do not block, except `launch` and `reap`, which run on a
thread. Launching threads must outlive their workers: PR_SET_PDEATHSIG means the thread that forked.

Whether a worker that died had taken its job is known exactly. Linux answers our read with ECONNRESET if the
peer closed with a message unread (unix(7); net/unix/af_unix.c, unix_release_sock), and with the end of the
stream if it had read everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import imgproxy
from imgproxy.engine import worker_protocol
from imgproxy.engine.worker_protocol import MESSAGE_BYTES, Ready, Rendered
from imgproxy.errors import EngineFailed, ImgproxyError

_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from imgproxy.engine import worker; worker.main()"
COMMAND = (sys.executable, "-I", "-c", _BOOT, str(Path(imgproxy.__path__[0]).parent))
"""Isolated from the environment and the working folder, and of the very code that the server runs."""

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",  # arenas are kept per thread and hold what was freed
    "VIPS_CONCURRENCY": "1",
    "VIPS_WARNING": "0",  # a damaged file can be worth thousands of lines
}
"""All that a worker inherits."""

_STDERR_CHARACTERS = 4_000

Answer = Rendered | Ready | ImgproxyError
Reason = Literal["crash", "deadline", "abandoned", "garbage", "unlocked", "retired", "closed"]
"""Reason for a worker's end. `garbage` is an invalid message, `unlocked` a missing sandbox lock."""


class Ended(Exception):
    """The worker has ended; `begun` if it had received its job."""

    def __init__(self, reason: Reason, *, begun: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.begun = begun


class Launched(NamedTuple):
    """Started process, our end of its socket, and the read end of its stderr."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    stderr: int


def launch(command: Sequence[str]) -> Launched:
    """Start a worker, with its socket's descriptor as the last argument; raise OSError if it cannot be.

    Its standard error is a pipe that does not block: 64 KiB of stderr wait to be read, more are lost, and
    no file can slow its worker down by them.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stderr, standard_error = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        process = subprocess.Popen(  # noqa: S603  our own command
            [*command, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=standard_error,
            pass_fds=(theirs.fileno(),),
            env=ENVIRONMENT,
            cwd="/",
            start_new_session=True,  # a terminal's Ctrl-C is for the server
        )
    except BaseException:
        ours.close()
        os.close(stderr)
        raise
    finally:
        theirs.close()
        os.close(standard_error)
    ours.setblocking(False)
    return Launched(process, ours, stderr)


class WorkerProcess:
    """Launched worker; `ended` is called once, when it can take no more jobs."""

    def __init__(self, launched: Launched, *, ended: Callable[[WorkerProcess], None]) -> None:
        self._process, self._channel, self._complaints = launched
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.pid = self._process.pid
        self.jobs = 0
        self.reason: Reason | None = None
        self.worked_seconds = 0.0
        """How long the last answer took."""
        self._born = self._asked = time.monotonic()  # uvloop's own clock counts whole milliseconds
        self._loop.add_reader(self._channel.fileno(), self._readable)

    @property
    def age(self) -> float:
        """Seconds since it was launched."""
        return time.monotonic() - self._born

    def expect(self, seconds: float) -> asyncio.Future[Answer]:
        """Return a future of the next message; end the worker if it does not come in time."""
        self._answer = self._loop.create_future()
        self._timer = self._loop.call_later(seconds, self.end, "deadline")
        self._asked = time.monotonic()
        return self._answer

    def ask(self, message: bytes, descriptors: Sequence[int], *, seconds: float) -> asyncio.Future[Answer]:
        """Send a job; the caller may close the descriptors at once.

        The future ends with `Ended` if the worker does; raise that if it has ended already.
        """
        if self.reason is not None:
            raise Ended(self.reason, begun=False)
        try:
            socket.send_fds(self._channel, [message], list(descriptors))
        except (BrokenPipeError, ConnectionResetError):
            self.end("crash")
            raise Ended("crash", begun=False) from None
        self.jobs += 1
        return self.expect(seconds)

    def hurry(self, seconds: float) -> None:
        """End the worker unless it answers within `seconds`: no client waits for the answer."""
        if self._answer is not None:
            self._loop.call_later(seconds, self._abandon, self._answer)

    def end(self, reason: Reason, *, begun: bool = True) -> None:
        """Kill the process and fail its job; the first reason stands."""
        if self.reason is not None:
            return
        self.reason = reason
        self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        self._process.kill()
        answer = self._take_answer()
        if answer is not None and not answer.done():
            answer.set_exception(Ended(reason, begun=begun))
        self._ended(self)

    def reap(self) -> str:
        """Wait for the killed process; return its exit status and its last stderr. Blocks."""
        code = self._process.wait()
        said = self.read_stderr()
        os.close(self._complaints)
        how = signal.strsignal(-code) if code < 0 else f"exit status {code}"
        return f"{how}; it said: {said}" if said else str(how)

    def read_stderr(self) -> str:
        """Return new text on stderr, at most its last 4,000 characters."""
        with contextlib.suppress(BlockingIOError):
            said = os.read(self._complaints, MESSAGE_BYTES).decode(errors="replace")
            return "".join(each for each in said if each.isprintable() or each == "\n")[-_STDERR_CHARACTERS:]
        return ""

    def data_bytes(self) -> int:
        """Return what counts against its limit of memory: private and writable (proc(5), statm, in pages)."""
        with contextlib.suppress(OSError):
            pages = Path(f"/proc/{self.pid}/statm").read_bytes().split()
            return int(pages[5]) * os.sysconf("SC_PAGE_SIZE")
        return 0

    def _abandon(self, answer: asyncio.Future[Answer]) -> None:
        if self._answer is answer:
            self.end("abandoned")

    def _take_answer(self) -> asyncio.Future[Answer] | None:
        answer, self._answer = self._answer, None
        self.worked_seconds = time.monotonic() - self._asked
        if self._timer is not None:
            self._timer.cancel()
        return answer

    def _readable(self) -> None:
        try:
            message = self._channel.recv(MESSAGE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.end("crash", begun=not isinstance(error, ConnectionResetError))
        else:
            self._received(message)

    def _received(self, message: bytes) -> None:
        if not message:
            self.end("crash")
            return
        try:
            answer = worker_protocol.load_answer(message)
        except EngineFailed:
            self.end("garbage")
            return
        waiting = self._take_answer()
        if waiting is None:  # it has no job
            self.end("garbage")
        elif not waiting.done():
            waiting.set_result(answer)
