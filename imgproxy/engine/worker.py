"""A worker process: takes a job with its descriptors, makes the image, answers; one job at a time.

Started as a program of its own, with a clean environment and one socket, and locked in before the first
byte of a stranger's is looked at (`sandbox`). What goes wrong with an image is answered; a traceback goes
to standard error and never into an answer. When the socket ends, so does the worker.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from imgproxy.engine import sandbox, worker_protocol
from imgproxy.engine.worker_protocol import Job, Ready, Rendered
from imgproxy.errors import DeadlinePassed, EngineFailed, ImageTooLarge, ImgproxyError, TransformFailed

MAX_DESCRIPTORS = 32
"""With one message: the result, the source image, overlays; more than any job has."""


_CPU_GRACE = 1.0
"""Seconds of CPU time beyond a job's limit within which libvips stops by itself."""


class Render(Protocol):
    """Make the image of a job into `result`; raise an `ImgproxyError`.

    Call `stop` with every image under computation, so that the watchdog can end it.
    """

    def __call__(
        self,
        job: Job,
        source: int | None,
        overlays: Sequence[int],
        result: int,
        *,
        stop: Callable[[Any], None],
    ) -> Rendered: ...


class Watchdog:
    """Thread that stops libvips at the job's deadline or limit of CPU time.

    libvips looks between scanlines. A decoder that is stuck within one is ended by SIGPROF or by the pool.
    The thread is woken only if it has nothing to watch yet, and sleeps on past jobs that end in time: at 100
    jobs a second it wakes once per limit.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deadline = math.inf
        self._cpu_limit = math.inf
        self._next = math.inf
        self._sleeps_until = math.inf
        self._images: list[Any] = []
        self._allowed = "", ""
        self.barked = ""
        """The limit that has passed, in words."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def begin(self, seconds: float, cpu_seconds: float = math.inf) -> None:
        """Begin to watch a job that may take so long, and so much CPU time of this process."""
        with self._changed:
            self.barked = ""
            now = time.monotonic()
            self._deadline = now + seconds
            self._cpu_limit = time.process_time() + cpu_seconds
            self._allowed = f"{seconds:g} seconds", f"{cpu_seconds:g} seconds of CPU time"
            self._next = now + min(seconds, cpu_seconds)  # one thread works: CPU time passes no faster
            if self._next < self._sleeps_until:
                self._changed.notify()

    def image(self, image: Any) -> None:
        """Watch this too; past the deadline it is stopped at once."""
        with self._changed:
            self._images.append(image)
            if self.barked:
                image.set_kill(True)

    def end(self) -> None:
        """End the job."""
        with self._changed:
            self._next = math.inf
            self._images.clear()

    def _watch(self) -> None:
        with self._changed:
            while True:
                left = self._next - time.monotonic()
                if left <= 0:
                    left = self._left()
                self._sleeps_until = time.monotonic() + left
                self._changed.wait(None if left == math.inf else left)

    def _left(self) -> float:
        """Return the seconds until the limits must be looked at again; stop the job if one has passed."""
        now = time.monotonic()
        left, cpu_left = self._deadline - now, self._cpu_limit - time.process_time()
        if left > 0 and cpu_left > 0:
            self._next = now + min(left, cpu_left)
            return min(left, cpu_left)
        self.barked = self._allowed[left > 0]
        self._next = math.inf
        for image in self._images:
            image.set_kill(True)
        return math.inf


def serve(channel: socket.socket, *, render: Render, watchdog: Watchdog) -> None:
    """Take jobs and answer them, until the server hangs up."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, worker_protocol.MESSAGE_BYTES, MAX_DESCRIPTORS)
        if not message:
            return
        try:
            answer = _answer(message, descriptors, render, watchdog)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        channel.sendmsg([answer])


def _answer(message: bytes, descriptors: Sequence[int], render: Render, watchdog: Watchdog) -> bytes:
    """Run one job and return its answer, at most as long as one message."""
    try:
        answer = worker_protocol.dump_answer(
            _render(worker_protocol.load_job(message), descriptors, render, watchdog)
        )
        if len(answer) <= worker_protocol.MESSAGE_BYTES:
            return answer
        return worker_protocol.dump_answer(
            TransformFailed("the metadata of the source image is too long to be shown")
        )
    except MemoryError:
        return worker_protocol.dump_answer(ImageTooLarge("the image needs more memory than is allowed"))
    except Exception as error:
        if isinstance(error, ImgproxyError) and not isinstance(error, EngineFailed):
            return worker_protocol.dump_answer(error)
        with contextlib.suppress(OSError):  # the reader may be gone
            traceback.print_exc()
        return worker_protocol.dump_answer(EngineFailed("the image could not be made"))


def _render(job: Job, descriptors: Sequence[int], render: Render, watchdog: Watchdog) -> Rendered:
    """Run one job with the watchdog beside it; an error after the deadline is taken for its doing."""
    result, *sources = descriptors
    source = None if job.plain is not None else sources.pop(0)
    if len(sources) != len(job.overlays):
        raise EngineFailed("the image could not be made")
    cpu_seconds = job.ceiling.seconds
    watchdog.begin(job.seconds, cpu_seconds)
    if cpu_seconds < math.inf:  # SIGPROF ends a decoder that never looks at `stop`
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds + _CPU_GRACE)
    try:
        return render(job, source, sources, result, stop=watchdog.image)
    except Exception as error:
        if watchdog.barked:
            raise DeadlinePassed(f"the image took longer than {watchdog.barked}") from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        watchdog.end()


def start(
    channel: socket.socket,
    *,
    memory: int,
    render: Render,
    prepare: Callable[[], None],
    warm: Callable[[], None],
    describe: Callable[[], tuple[str, tuple[str, ...]]],
) -> None:
    """Lock this process in, warm up, say so, and serve."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the server, which first lets running jobs end
    try:
        prepare()
    except EngineFailed as error:  # no job could succeed: let the server say why
        channel.sendmsg([worker_protocol.dump_answer(error)])
        return
    locks = sandbox.lock(parent=_peer(channel), memory=memory)
    warm()
    watchdog = Watchdog()
    gc.collect()
    gc.freeze()  # some 30,000 objects of imports that no collection need look at again
    libvips, formats = describe()
    channel.sendmsg([worker_protocol.dump_answer(Ready(libvips, locks, formats))])
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the server went away first
        serve(channel, render=render, watchdog=watchdog)


def _give_way() -> None:
    """Let the server go before: a hit must not wait for a miss.

    Workers compute for long and no client waits for their next millisecond, so the kernel may let them run on
    rather than interrupt each other at every wake-up (3 % more images a second on two full cores), and
    interrupt them for everybody else (the slowest hundredth of hits under full load: 17 ms, then 5 to 12).
    """
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.nice(19)


def _peer(channel: socket.socket) -> int:
    """Return the process that made the socket pair: the server."""
    credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


def main() -> None:
    """Run a worker; the last arguments are its limit of memory in bytes and the descriptor of its socket."""
    _give_way()
    from imgproxy.engine import (  # here: the server imports this module too, and no libvips
        pipeline,
        readers,
        vips,
    )

    start(
        socket.socket(fileno=int(sys.argv[-1])),
        memory=int(sys.argv[-2]),
        render=pipeline.render,
        prepare=vips.prepare,
        warm=vips.warm,
        describe=readers.describe,
    )


if __name__ == "__main__":
    main()
