"""Nothing gets out of a worker: a hundred ways out are tried inside a locked one, and each is refused."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgproxy.engine import sandbox, worker_process, worker_protocol
from imgproxy.engine.worker_protocol import Ready
from tests.engine import probes
from tests.engine.jobs import JOB, original

MEMORY = 600 * 1024**2
PROGRAM = (sys.executable, "-I", str(Path(probes.__file__).resolve()))
ALL_LOCKS = ("no-new-privileges", "rlimits", "landlock", "seccomp")


class Escape:
    """What a locked worker could do, as it says itself and as the kernel says of it."""

    def __init__(self, launched: worker_process.Launched) -> None:
        launched.channel.setblocking(True)
        self.ready = worker_protocol.load_answer(launched.channel.recv(worker_protocol.MESSAGE_BYTES))
        result = os.memfd_create("result", os.MFD_CLOEXEC)
        try:
            with original("") as nothing:
                socket.send_fds(launched.channel, [worker_protocol.dump_job(JOB)], [result, nothing])
            self.answer = worker_protocol.load_answer(launched.channel.recv(worker_protocol.MESSAGE_BYTES))
            self.facts: dict[str, Any] = json.loads(os.pread(result, 1_000_000, 0))
        finally:
            os.close(result)
        self.pid = launched.process.pid
        self.threads = [_status(task) for task in Path(f"/proc/{self.pid}/task").iterdir()]
        self.limits = Path(f"/proc/{self.pid}/limits").read_text()


def _status(task: Path) -> dict[str, str]:
    lines = (task / "status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.fixture(scope="module")
def escape() -> Iterator[Escape]:
    """Run every probe once, in a worker whose server has a secret in its environment."""
    os.environ["IMGPROXY_PROBE_SECRET"] = "s3cret"
    launched = worker_process.launch((*PROGRAM, str(MEMORY)))
    try:
        yield Escape(launched)
    finally:
        del os.environ["IMGPROXY_PROBE_SECRET"]
        launched.process.kill()
        launched.process.wait()
        launched.channel.close()
        os.close(launched.stderr)


@pytest.mark.parametrize("name", probes.PROBES)
def test_every_way_out_is_refused(escape: Escape, name: str) -> None:
    assert escape.facts["probes"][name] in ("EPERM", "EACCES")


def test_flags_that_a_filter_cannot_see_are_not_taken(escape: Escape) -> None:
    assert escape.facts["clone3"] == "ENOSYS"


def test_all_locks_hold(escape: Escape) -> None:
    assert isinstance(escape.ready, Ready)
    assert escape.ready.locks == ALL_LOCKS


def test_threads_of_libvips_are_held_as_well(escape: Escape) -> None:
    """Probes ran on them too: libvips reads a custom source from whichever thread decodes."""
    said = escape.facts["threads"]
    assert len(said) > 1
    assert set(said.values()) <= {"EPERM", "EACCES"}


@pytest.mark.parametrize(("field", "value"), [("Seccomp", "2"), ("NoNewPrivs", "1"), ("CapEff", "0" * 16)])
def test_the_kernel_says_so_of_every_thread(escape: Escape, field: str, value: str) -> None:
    assert len(escape.threads) > 2
    assert {thread[field] for thread in escape.threads} == {value}


def test_it_is_not_root(escape: Escape) -> None:
    assert all("0" not in thread["Uid"].split() for thread in escape.threads)


def test_nothing_of_the_environment_is_inherited(escape: Escape) -> None:
    assert escape.facts["environment"] == worker_process.ENVIRONMENT


def test_no_descriptor_is_inherited_but_the_channel_and_standard_error(escape: Escape) -> None:
    """0 and 1 are /dev/null; the files are this job's result and original."""
    kinds = escape.facts["inherited"]
    assert (kinds.pop("0"), kinds.pop("1"), kinds.pop("2")) == ("device", "device", "pipe")
    assert sorted(kinds.values()) == ["file", "file", "socket"]


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("RLIMIT_DATA", MEMORY + sandbox.STACKS),
        ("RLIMIT_AS", MEMORY + sandbox.MAPPED),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NOFILE", sandbox.DESCRIPTORS),
        ("RLIMIT_FSIZE", sandbox.RESULT_BYTES),
    ],
)
def test_resources_are_bounded_for_good(escape: Escape, name: str, limit: int) -> None:
    assert escape.facts["limits"][name] == [limit, limit]


def test_the_probes_would_get_out_of_an_unlocked_process() -> None:
    """Those that anybody may do: a probe that fails without a lock proves nothing."""
    said = subprocess.run([*PROGRAM, "unlocked"], capture_output=True, check=True, env={}, cwd="/").stdout
    assert json.loads(said) == dict.fromkeys(probes.ANYBODY_MAY, "allowed")


LOCKING = """
import sys; sys.path.insert(0, sys.argv[1])
import ctypes, errno, os, struct, threading
from imgproxy.engine import landlock, sandbox, seccomp
asked = []
def older(abi):
    def syscall(number, *arguments):
        asked.append((number, *arguments))
        if abi == 0:
            raise OSError(errno.ENOSYS, "no Landlock")
        return abi if arguments[0] is None else os.open("/", os.O_PATH)
    return syscall
def opens(path, flags=os.O_RDONLY):
    try:
        os.close(os.open(path, flags)); return True
    except OSError:
        return False
"""


def _locking(code: str) -> str:
    root = str(Path(sandbox.__file__).parents[2])
    command = [sys.executable, "-I", "-c", LOCKING + code, root]
    done = subprocess.run(command, capture_output=True, check=False, env={}, text=True)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_a_kernel_without_landlock_gets_the_other_locks_and_no_file_at_all() -> None:
    said = _locking('print(sandbox.lock(syscall=older(0)), opens("/etc/fonts/fonts.conf"))')
    assert said == "('no-new-privileges', 'rlimits', 'seccomp') False"


def test_a_machine_without_libseccomp_gets_the_other_locks() -> None:
    said = _locking("seccomp.load_library = lambda: None; print(sandbox.lock(), opens('/etc/passwd'))")
    assert said == "('no-new-privileges', 'rlimits', 'landlock') False"


def test_a_kernel_that_refuses_the_filter_leaves_the_other_locks() -> None:
    said = _locking(
        "def refuse(*_, **__): raise OSError(errno.EINVAL, 'no filters')\n"
        "seccomp.restrict = refuse; print(sandbox.lock())"
    )
    assert said == "('no-new-privileges', 'rlimits', 'landlock')"


@pytest.mark.parametrize(
    ("abi", "fields"),
    [
        (1, [2**13 - 1]),
        (2, [2**14 - 1]),
        (3, [2**15 - 1]),
        (4, [2**15 - 1, 3]),
        (5, [2**16 - 1, 3]),
        (6, [2**16 - 1, 3, 3]),
        (99, [2**16 - 1, 3, 3]),
    ],
)
def test_an_older_kernel_is_asked_for_the_rights_it_knows(abi: int, fields: list[int]) -> None:
    said = _locking(
        f"landlock.restrict(readable=(), syscall=older({abi}))\n"
        "print(list(struct.unpack(f'={asked[1][2] // 8}Q', asked[1][1])))"
    )
    assert said == str(fields)


def test_fonts_may_be_read_and_not_written() -> None:
    said = _locking(
        "sandbox.lock(); path = '/etc/fonts/fonts.conf'\n"
        "print(opens(path), opens(path, os.O_RDWR), opens('/etc/passwd'))"
    )
    assert said == "True False False"


def test_a_folder_of_fonts_that_is_not_there_is_left_away() -> None:
    assert _locking("print(sandbox.lock(fonts=('/nowhere',)))") == str(ALL_LOCKS)


def test_it_will_not_lock_with_a_second_thread_running() -> None:
    """That thread would stay free."""
    said = _locking("threading.Thread(target=threading.Event().wait, daemon=True).start(); sandbox.lock()")
    assert said == "RuntimeError: the sandbox is to be locked with one thread running, not with 2"


def test_it_ends_if_the_server_has_ended_already() -> None:
    assert _locking("sandbox.lock(parent=1)") == "the server is gone"


def test_a_lower_hard_limit_is_kept() -> None:
    said = _locking(
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32)); sandbox.lock()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    assert said == "(32, 32)"


def test_results_are_as_large_as_the_parameter_says() -> None:
    said = _locking(
        "import resource; sandbox.lock(file_bytes=1000); print(resource.getrlimit(resource.RLIMIT_FSIZE))"
    )
    assert said == f"({1000}, {1000})"
    assert resource.getrlimit(resource.RLIMIT_FSIZE) != (1000, 1000)
