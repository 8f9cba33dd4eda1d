"""The list of system calls holds nothing that leads out, and the kernel is given just that list.

No test here restricts anything: the rules go to a library that only writes them down. What holds is shown in
`test_sandbox`.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
from typing import Any, cast

import pytest

from imgproxy.engine import seccomp
from imgproxy.engine.seccomp import FOR_FONTS, FREE, Held

ALLOW, EPERM, ENOSYS = 0x7FFF_0000, 0x0005_0000 | errno.EPERM, 0x0005_0000 | errno.ENOSYS
CONTEXT = 7

LEADS_OUT = (
    *("open", "openat", "openat2", "open_by_handle_at", "creat", "memfd_create", "name_to_handle_at"),
    *("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmmsg"),
    *("fork", "vfork", "clone", "clone3", "execve", "execveat", "unshare", "setns", "pidfd_open"),
    *("kill", "tkill", "tgkill", "rt_sigqueueinfo", "pidfd_send_signal", "pidfd_getfd"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "userfaultfd", "perf_event_open", "bpf"),
    *("unlink", "unlinkat", "rename", "renameat2", "link", "symlink", "mkdir", "chmod", "chown", "truncate"),
    *("mount", "umount2", "pivot_root", "chroot", "chdir", "fchdir", "ioctl", "fcntl", "dup3"),
    *("setuid", "setresuid", "capset", "seccomp", "prctl", "prlimit64", "setrlimit", "personality"),
    *("mmap", "mprotect", "madvise", "pkey_mprotect", "remap_file_pages", "shmat", "io_uring_setup"),
    *("add_key", "keyctl", "init_module", "finit_module", "kexec_load", "reboot", "swapon", "syslog"),
)
"""Calls that may never be allowed whatever their arguments."""


class Library:
    """Stands in for libseccomp: knows every name but `unknown`, and writes down what it is told."""

    def __init__(self, *, unknown: str = "", status: int = 0) -> None:
        self.unknown, self.status = unknown, status
        self.names: list[str] = []
        self.default = 0
        self.rules: list[tuple[int, str, tuple[Held, ...]]] = []
        self.ends: list[str] = []

    def seccomp_init(self, action: int) -> int:
        self.default = action
        return CONTEXT

    def seccomp_syscall_resolve_name(self, name: bytes) -> int:
        if name.decode() == self.unknown:
            return -1
        self.names.append(name.decode())
        return len(self.names) - 1

    def seccomp_rule_add_array(self, context: int, action: int, number: int, count: int, held: Any) -> int:
        assert context == CONTEXT
        assert [each.operator for each in held] == [7] * count  # SCMP_CMP_MASKED_EQ
        found = tuple(Held(each.argument, each.mask, each.value) for each in held)
        self.rules.append((action, self.names[number], found))
        return 0

    def seccomp_load(self, context: int) -> int:
        self.ends.append("load")
        return self.status

    def seccomp_release(self, context: int) -> None:
        self.ends.append("release")

    def allows(self, name: str, *arguments: int) -> bool:
        """Whether a call with these arguments matches a rule."""
        return any(
            (action, each) == (ALLOW, name)
            and all(arguments[one.argument] & one.mask == one.value for one in held)
            for action, each, held in self.rules
        )


def restricted(library: Library, *, files: bool = True) -> Library:
    seccomp.restrict(cast("ctypes.CDLL", library), files=files)
    return library


@pytest.mark.parametrize("table", [FREE, FOR_FONTS], ids=["FREE", "FOR_FONTS"])
def test_no_table_allows_what_leads_out_and_each_call_stands_once(table: tuple[str, ...]) -> None:
    assert set(table) & set(LEADS_OUT) == set()
    assert len(set(table)) == len(table)
    assert set(table) & {name for name, _ in seccomp.held(1)} == set()


def test_what_leads_out_is_held_to_arguments_or_not_allowed() -> None:
    library = restricted(Library())
    loose = {name for action, name, held in library.rules if action == ALLOW and not held}
    assert loose == {*FREE, *FOR_FONTS}
    assert library.default == EPERM
    assert [rule for rule in library.rules if rule[0] != ALLOW] == [(ENOSYS, "clone3", ())]


PTHREAD = 0x003D_0F00  # glibc's flags of pthread_create
SIGCHLD, NEWUSER, NEWTIME, THREAD = 17, 0x1000_0000, 0x80, 0x1_0000
READ, WRITE, EXEC = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC
SHARED, PRIVATE, ANONYMOUS, GROWSDOWN = mmap.MAP_SHARED, mmap.MAP_PRIVATE, mmap.MAP_ANONYMOUS, 0x100
F_SETFL, F_SETOWN, F_SETLEASE, F_GETFL = 4, 8, 1024, 3
PR_SET_NAME, PR_SET_DUMPABLE, PR_SET_SECCOMP = 15, 4, 22
ME = os.getpid()


@pytest.mark.parametrize(
    ("name", "arguments", "allowed"),
    [
        ("clone", (PTHREAD, 0), True),
        ("clone", (SIGCHLD, 0), False),
        ("clone", (PTHREAD | NEWUSER, 0), False),
        ("clone", (THREAD | NEWTIME, 0), False),
        ("mmap", (0, 4096, READ | WRITE, PRIVATE | ANONYMOUS), True),
        ("mmap", (0, 4096, READ | EXEC, PRIVATE | ANONYMOUS), False),
        ("mmap", (0, 4096, READ | WRITE, SHARED | ANONYMOUS), False),
        ("mmap", (0, 4096, READ | WRITE, SHARED | PRIVATE | ANONYMOUS), False),
        ("mmap", (0, 4096, READ | WRITE, PRIVATE | ANONYMOUS | GROWSDOWN), False),
        ("mmap", (0, 4096, READ, PRIVATE), True),
        ("mmap", (0, 4096, READ, SHARED), True),
        ("mmap", (0, 4096, READ | EXEC, PRIVATE), False),
        ("mprotect", (0, 4096, READ), True),
        ("mprotect", (0, 4096, EXEC), False),
        ("tgkill", (ME, ME, 6), True),
        ("tgkill", (os.getppid(), 1, 9), False),
        ("prctl", (PR_SET_NAME, 0), True),
        ("prctl", (PR_SET_DUMPABLE, 1), False),
        ("prctl", (PR_SET_SECCOMP, 0), False),
        ("prlimit64", (0, resource.RLIMIT_AS, 0), True),
        ("prlimit64", (0, resource.RLIMIT_AS, 0x7FFF_0000_0000), False),
        ("prlimit64", (ME + 1, resource.RLIMIT_AS, 0), False),
        ("fcntl", (1, F_GETFL), True),
        ("fcntl", (1, F_SETFL), False),
        ("fcntl", (1, F_SETOWN), False),
        ("fcntl", (1, F_SETLEASE), False),
        ("madvise", (0, 4096, mmap.MADV_DONTNEED), True),
        ("madvise", (0, 4096, 100), False),  # MADV_HWPOISON
        ("openat", (-100, 0, os.O_RDONLY | os.O_CLOEXEC), True),
        ("openat", (-100, 0, os.O_RDONLY | os.O_DIRECTORY), True),
        *(
            ("openat", (-100, 0, flag), False)
            for flag in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_APPEND, os.O_TMPFILE)
        ),
    ],
)
def test_arguments_are_held_to_what_is_needed(name: str, arguments: tuple[int, ...], allowed: bool) -> None:
    assert restricted(Library()).allows(name, *arguments) is allowed


def test_without_landlock_no_file_is_looked_for_nor_opened() -> None:
    library = restricted(Library(), files=False)
    assert {name for _, name, _ in library.rules} & {"openat", *FOR_FONTS} == set()


def test_a_call_that_an_older_library_does_not_know_is_left_away() -> None:
    with_all, with_less = restricted(Library()), restricted(Library(unknown="faccessat2"))
    assert [rule for rule in with_all.rules if rule not in with_less.rules] == [(ALLOW, "faccessat2", ())]


def test_a_kernel_that_refuses_is_an_error_and_the_list_is_given_back() -> None:
    library = Library(status=-errno.EINVAL)
    with pytest.raises(OSError, match="Invalid argument"):
        restricted(library)
    assert library.ends == ["load", "release"]


def test_a_machine_without_the_library_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_LIBRARY", "libnowhere.so.1")
    assert seccomp.load_library() is None


def test_every_name_in_the_tables_is_a_system_call() -> None:
    """A slip of the pen would be left away in silence."""
    library = seccomp.load_library()
    assert library is not None
    names = {name for _, name, _ in restricted(Library()).rules}
    assert {name for name in names if library.seccomp_syscall_resolve_name(name.encode()) == -1} == set()
