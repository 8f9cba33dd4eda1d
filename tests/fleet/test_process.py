"""An edge's process has what it needs and nothing else, and is known to be gone when it is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from imgproxy.fleet import process
from imgproxy.fleet.channel import Handler, Lent
from imgproxy.fleet.process import COMMAND, EdgeProcess, Launched, launch
from tests.fleet.processes import exists, nothing_left, until

ECHO = "import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); s.send(({}).encode())"


def python(program: str, *arguments: object) -> Callable[[int], Sequence[str]]:
    """A command that runs a program, which is told its channel and more."""
    return lambda channel: [sys.executable, "-I", "-c", program, str(channel), *map(str, arguments)]


@contextmanager
def launched(
    command: Callable[[int], Sequence[str]], listeners: Sequence[socket.socket] = ()
) -> Iterator[Launched]:
    found = launch(command, listeners)
    try:
        yield found
    finally:
        found.end.close()
        found.process.kill()
        found.process.wait()


def said(expression: str, *arguments: object, listeners: Sequence[socket.socket] = ()) -> str:
    """What a process says of itself over its channel."""
    with launched(python(ECHO.format(expression), *arguments), listeners) as found:
        return found.end.recv(1000).decode()


def test_it_has_its_channel_its_sockets_and_no_descriptor_else() -> None:
    with closing(socket.socket()) as listening, closing(socket.socket()) as ours:
        ours.set_inheritable(True)
        expression = "__import__('json').dumps(sorted(map(int, __import__('os').listdir('/proc/self/fd'))))"
        number = listening.fileno()
        found = said(f"sys.argv[1] + ' ' + {expression}", listeners=[listening])
        channel, _, descriptors = found.partition(" ")
        ends = {int(each) for each in descriptors.strip("[]").split(",")}
        assert {0, 1, 2, int(channel), number} <= ends
        assert ours.fileno() not in ends


@pytest.fixture
def keyboard() -> Iterator[None]:
    """Something to be read on standard input."""
    kept, (read, write) = os.dup(0), os.pipe()
    os.dup2(read, 0)
    yield
    os.dup2(kept, 0)
    for each in (kept, read, write):
        os.close(each)


@pytest.mark.usefixtures("keyboard")
def test_it_hears_nothing_of_a_terminal() -> None:
    found = said("__import__('os').readlink('/proc/self/fd/0') + ' ' + str(__import__('os').getsid(0))")
    stdin, _, session = found.partition(" ")
    assert (stdin, int(session) != os.getsid(0)) == ("/dev/null", True)


async def test_what_cannot_be_started_leaves_nothing_open() -> None:
    async with nothing_left():
        with pytest.raises(FileNotFoundError):
            launch(lambda _: ["/nowhere"], [])


def test_the_sockets_stay_open_here_for_whoever_comes_in_its_place() -> None:
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with launched(python("pass"), [listening]) as found:
            found.process.wait()
        socket.create_connection(listening.getsockname(), 5).close()


def test_it_is_the_code_that_we_are_whatever_else_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "imgproxy").mkdir()
    (tmp_path / "imgproxy" / "__init__.py").write_text("raise SystemExit('another')")
    done = subprocess.run(
        [*COMMAND, "sign", "photo.jpg"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "IMGPROXY_SIGNING_SECRETS": "a-long-enough-secret"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout[-10:]) == (0, "", "photo.jpg\n")


def answering(_: EdgeProcess) -> Handler:
    async def answer(question: object, lent: Lent) -> object:
        return None

    return answer


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("pass", "exit status 0"),
        ("import sys; sys.exit(7)", "exit status 7"),
        ("import os; os.kill(os.getpid(), 9)", "Killed"),
        ("import os; os.kill(os.getpid(), 11)", "Segmentation fault"),
    ],
)
async def test_how_it_ended_is_told(program: str, told: str) -> None:
    async with nothing_left():
        edge = EdgeProcess(launch(python(program), []), answering)
        await edge.gone.wait()
        assert edge.bury() == told
        await edge.channel.close()


async def test_it_is_gone_when_its_channel_is_whatever_it_goes_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "_LAST_SECONDS", 0.01)
    async with nothing_left():
        stuck = "import os, sys, time; os.close(int(sys.argv[1])); time.sleep(600)"
        edge = EdgeProcess(launch(python(stuck), []), answering)
        await edge.gone.wait()
        assert exists(edge.pid)
        assert edge.bury() == signal.strsignal(signal.SIGKILL)
        assert not exists(edge.pid)
        await edge.channel.close()


async def test_it_is_ended_at_once_and_ending_it_again_does_no_harm() -> None:
    async with nothing_left():
        edge = EdgeProcess(launch(python("import time; time.sleep(600)"), []), answering)
        assert (edge.gone.is_set(), edge.joined, edge.listening.is_set()) == (False, False, False)
        edge.kill()
        await until(edge.gone.is_set)
        edge.bury()
        edge.kill()
        await edge.channel.close()
