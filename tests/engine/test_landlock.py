"""The kernel is asked for as much as it knows, in the right order, and nothing is left open.

No test here restricts anything: system calls are given. What holds is shown in `test_sandbox`.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from itertools import pairwise
from pathlib import Path

import pytest

from imgproxy.engine import landlock

CREATE, ADD_RULE, RESTRICT = 444, 445, 446
READ_FILE, READ_DIR = 1 << 2, 1 << 3


class Kernel:
    """Knows Landlock up to an ABI; refuses the call `refuses`, and remembers all."""

    def __init__(self, abi: int = 6, *, refuses: int | None = None, number: int = errno.EPERM) -> None:
        self.abi, self.refuses, self.number = abi, refuses, number
        self.calls: list[tuple[object, ...]] = []
        self.rules: list[tuple[int, str]] = []
        self.ruleset = -1

    def __call__(self, number: int, *arguments: object) -> int:
        self.calls.append((number, *arguments))
        if number == self.refuses:
            raise OSError(self.number, os.strerror(self.number))
        if number == CREATE and arguments[0] is not None:
            self.ruleset = os.open("/", os.O_PATH)
            return self.ruleset
        if number == ADD_RULE:
            assert isinstance(arguments[2], bytes)
            rights, beneath = struct.unpack("=Qi", arguments[2])
            self.rules.append((rights, str(Path(f"/proc/self/fd/{beneath}").readlink())))
        return self.abi if number == CREATE else 0

    @property
    def attributes(self) -> bytes:
        """What the ruleset was to handle."""
        attributes = self.calls[1][1]
        assert isinstance(attributes, bytes)
        return attributes


def is_open(descriptor: int) -> bool:
    try:
        return stat.S_ISDIR(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def test_it_asks_for_the_version_makes_a_ruleset_and_binds_itself_to_it() -> None:
    kernel = Kernel()
    landlock.restrict(readable=(), syscall=kernel)
    attributes = kernel.attributes
    assert kernel.calls == [
        (CREATE, None, 0, 1),
        (CREATE, attributes, len(attributes), 0),
        (RESTRICT, kernel.ruleset, 0),
    ]
    assert not is_open(kernel.ruleset)


def test_a_newer_kernel_is_asked_for_all_that_an_older_one_is() -> None:
    asked = []
    for abi in range(1, 12):
        kernel = Kernel(abi)
        landlock.restrict(readable=(), syscall=kernel)
        asked.append(int.from_bytes(kernel.attributes, "little"))
    assert all(old & new == old for old, new in pairwise(asked))
    assert asked[-1] == asked[5], "an ABI that we do not know yet adds nothing"


def test_folders_may_be_read_and_no_more_before_the_lock_is_shut(tmp_path: Path) -> None:
    kernel = Kernel(1)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    landlock.restrict(readable=[str(folder) for folder in folders], syscall=kernel)
    assert kernel.rules == [(READ_FILE | READ_DIR, str(folder)) for folder in folders]
    assert [call[0] for call in kernel.calls] == [CREATE, CREATE, ADD_RULE, ADD_RULE, RESTRICT]
    handled = int.from_bytes(kernel.attributes, "little")
    assert all(rights & handled == rights for rights, _ in kernel.rules)


def test_what_is_no_folder_is_left_away(tmp_path: Path) -> None:
    kernel = Kernel()
    (tmp_path / "file").touch()
    landlock.restrict(readable=[str(tmp_path / "absent"), str(tmp_path / "file")], syscall=kernel)
    assert kernel.rules == []
    assert kernel.calls[-1][0] == RESTRICT


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_kernel_without_it_is_asked_once_and_says_why(number: int) -> None:
    kernel = Kernel(refuses=CREATE, number=number)
    with pytest.raises(OSError, match="not") as refusal:
        landlock.restrict(readable=("/",), syscall=kernel)
    assert refusal.value.errno == number
    assert len(kernel.calls) == 1


@pytest.mark.parametrize("refuses", [ADD_RULE, RESTRICT])
def test_a_refusal_half_way_is_an_error_that_leaves_nothing_open(tmp_path: Path, refuses: int) -> None:
    kernel = Kernel(refuses=refuses)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(PermissionError):
        landlock.restrict(readable=[str(tmp_path)], syscall=kernel)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not is_open(kernel.ruleset)


def test_a_system_call_that_there_is_not_is_an_error_with_its_number() -> None:
    with pytest.raises(OSError, match="not implemented") as refusal:
        landlock.kernel(100_000, None, 0, b"")
    assert refusal.value.errno == errno.ENOSYS
