"""A worker answers whatever happens, keeps nothing, and ends with its server."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from imgproxy import errors
from imgproxy.engine import worker_process, worker_protocol
from imgproxy.engine.worker import Watchdog
from imgproxy.engine.worker_process import Answer
from imgproxy.engine.worker_protocol import Job, Ready, Rendered
from tests.engine import stand_in
from tests.engine.jobs import JOB, original

MEMORY = 600 * 1024**2
COMMAND = (sys.executable, "-I", str(Path(stand_in.__file__).resolve()))


class Conversation:
    """A stand-in, and what is said with it, one thing at a time."""

    def __init__(self) -> None:
        self.process, self.channel, self.stderr = worker_process.launch((*COMMAND, str(MEMORY)))
        self.channel.setblocking(True)
        self.ready = self.hear()

    def hear(self) -> Answer:
        """The next message."""
        return worker_protocol.load_answer(self.channel.recv(worker_protocol.MESSAGE_BYTES))

    def ask(self, text: str, *overlays: str, job: Job = JOB) -> tuple[Answer, bytes]:
        """The answer, and what is in the result."""
        job = replace(job, overlays=tuple(f"overlay {each}" for each in range(len(overlays))))
        result = os.memfd_create("result", os.MFD_CLOEXEC)
        lent = [result, *map(_file, (text, *overlays))]
        try:
            socket.send_fds(self.channel, [worker_protocol.dump_job(job)], lent)
            return self.hear(), os.pread(result, 1000, 0)
        finally:
            for descriptor in lent:
                os.close(descriptor)

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        self.channel.close()
        os.close(self.stderr)


def _file(text: str) -> int:
    with original(text) as descriptor:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)


@pytest.fixture(scope="module")
def worker() -> Iterator[Conversation]:
    with closing(Conversation()) as conversation:
        yield conversation


@pytest.fixture
def mortal() -> Iterator[Conversation]:
    """A worker of the test's own, which may end."""
    with closing(Conversation()) as conversation:
        yield conversation


def test_it_first_says_what_it_is(worker: Conversation) -> None:
    assert worker.ready == Ready("none", ("no-new-privileges", "rlimits", "landlock", "seccomp"), ())


def test_it_writes_the_result_and_says_so(worker: Conversation) -> None:
    answer, body = worker.ask("echo hello")
    assert isinstance(answer, Rendered)
    assert (answer.size, body) == (10, b"echo hello")


def test_overlay_follow_the_original_in_their_order(worker: Conversation) -> None:
    assert worker.ask("echo", " one", " two")[1] == b"echo one two"


def test_an_error_for_the_asker_is_answered(worker: Conversation) -> None:
    answer, _ = worker.ask("refuse")
    assert (type(answer), str(answer)) == (errors.UnsupportedImage, "the source image is no picture")


def test_a_defect_is_answered_without_its_words_which_are_for_the_log(worker: Conversation) -> None:
    answer, _ = worker.ask("defect")
    assert (type(answer), str(answer)) == (errors.EngineFailed, "the image could not be made")
    said = os.read(worker.stderr, 65_536).decode()
    assert "a secret that only the log may know" in said
    assert "Traceback" in said


def test_memory_beyond_the_limit_is_more_than_may_be_asked(worker: Conversation) -> None:
    assert isinstance(worker.ask("take 500")[0], Rendered)
    answer, _ = worker.ask("take 650")
    assert (type(answer), str(answer)) == (
        errors.ImageTooLarge,
        "the image needs more memory than is allowed",
    )


def test_more_facts_than_a_message_holds_are_the_originals_fault(worker: Conversation) -> None:
    assert isinstance(worker.ask("tell 70000")[0], errors.TransformFailed)


def test_a_job_is_stopped_at_its_deadline_and_the_next_is_not(worker: Conversation) -> None:
    began = time.monotonic()
    answer, _ = worker.ask("obey 30", job=replace(JOB, seconds=0.2))
    assert (type(answer), str(answer)) == (
        errors.DeadlinePassed,
        "the image took longer than 0.2 seconds",
    )
    assert time.monotonic() - began < 5
    assert isinstance(worker.ask("obey 0.3")[0], Rendered)


def test_a_job_is_stopped_at_its_limit_of_cpu_time_and_the_next_is_not(worker: Conversation) -> None:
    limited = replace(JOB, ceiling=JOB.ceiling._replace(seconds=0.2))
    answer, _ = worker.ask("toil", job=limited)
    assert (type(answer), str(answer)) == (
        errors.DeadlinePassed,
        "the image took longer than 0.2 seconds of CPU time",
    )
    assert isinstance(worker.ask("obey 0.5", job=limited)[0], Rendered)  # time that passes costs nothing


def test_a_decoder_that_does_not_stop_is_ended_by_its_cpu_time(mortal: Conversation) -> None:
    with pytest.raises(errors.EngineFailed):
        mortal.ask("spin 30", job=replace(JOB, ceiling=JOB.ceiling._replace(seconds=0.1)))
    assert mortal.process.wait(10) == -signal.SIGPROF


def test_a_short_deadline_after_a_long_one_holds(worker: Conversation) -> None:
    assert isinstance(worker.ask("obey 0", job=replace(JOB, seconds=3600))[0], Rendered)
    assert isinstance(worker.ask("obey 30", job=replace(JOB, seconds=0.1))[0], errors.DeadlinePassed)


def test_a_defect_before_the_deadline_is_a_defect(worker: Conversation) -> None:
    assert isinstance(worker.ask("defect", job=replace(JOB, seconds=0.5))[0], errors.EngineFailed)


def test_no_descriptor_is_kept(worker: Conversation) -> None:
    counts = {worker.ask(word, "", "")[1] for word in ("count", "refuse", "count", "defect", "count") if word}
    assert len({count for count in counts if count.isdigit()}) == 1


def test_a_message_that_is_no_job_is_a_defect_and_does_not_end_it(worker: Conversation) -> None:
    worker.channel.send(b"no job")
    assert isinstance(worker.hear(), errors.EngineFailed)
    assert worker.ask("echo")[1] == b"echo"


def test_a_job_without_its_descriptors_is_a_defect_and_does_not_end_it(worker: Conversation) -> None:
    worker.channel.send(worker_protocol.dump_job(replace(JOB, overlays=("one",))))
    assert isinstance(worker.hear(), errors.EngineFailed)
    assert worker.ask("echo")[1] == b"echo"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_that_are_meant_for_the_server_do_not_end_it(
    worker: Conversation, number: signal.Signals
) -> None:
    worker.process.send_signal(number)
    assert worker.ask("echo")[1] == b"echo"


def test_it_ends_when_the_server_hangs_up(mortal: Conversation) -> None:
    mortal.channel.shutdown(socket.SHUT_RDWR)
    assert mortal.process.wait(10) == 0


def test_a_crash_ends_it(mortal: Conversation) -> None:
    with pytest.raises(errors.EngineFailed):
        mortal.ask("crash")
    assert mortal.process.wait(10) == -signal.SIGSEGV


LAUNCHING = (
    "import os, sys; sys.path.insert(0, sys.argv[1]); from imgproxy.engine.worker_process import launch\n"
    + (
        "launched = launch(sys.argv[2:]); launched.channel.setblocking(True); launched.channel.recv(1000)\n"
        "print(launched.process.pid, flush=True); sys.stdin.read()"
    )
)


def test_it_is_killed_when_the_server_is() -> None:
    """However the server ends: the kernel does it."""
    root = str(Path(worker_process.__file__).parents[2])
    server = subprocess.Popen(
        [sys.executable, "-c", LAUNCHING, root, *COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with server:
        assert server.stdout is not None
        worker = os.pidfd_open(int(server.stdout.readline()))
        server.kill()
    try:
        ended, _, _ = select.select([worker], [], [], 10)
    finally:
        os.close(worker)
    assert ended


class Image:
    """What the watchdog stops."""

    def __init__(self) -> None:
        self.killed = threading.Event()

    def set_kill(self, kill: bool) -> None:
        """Be stopped."""
        assert kill
        self.killed.set()


def test_the_watchdog_stops_every_image_of_a_job_and_those_that_come_late() -> None:
    watchdog, images = Watchdog(), [Image(), Image(), Image()]
    watchdog.begin(0.05)
    for image in images[:2]:
        watchdog.image(image)
    assert all(image.killed.wait(5) for image in images[:2])
    watchdog.image(images[2])
    assert images[2].killed.is_set()


def test_the_watchdog_leaves_images_of_a_job_that_has_ended_alone() -> None:
    watchdog, early, late = Watchdog(), Image(), Image()
    watchdog.begin(0.05)
    watchdog.image(early)
    watchdog.end()
    watchdog.begin(0.15)
    watchdog.image(late)
    assert late.killed.wait(5)
    assert not early.killed.is_set()
