"""The system calls that a locked-in worker may make; the kernel refuses every other with EPERM.

A closed list, each with the reason it is needed or the arguments it is held to: memory, locks between
libvips's threads, reading and writing descriptors that are open already, the one socket. Refused rather
than killed: libraries try calls that they can do without (glibc names its heaps by prctl), and a job should
not die of them. libseccomp knows each machine's call numbers; it is on every Debian, because apt needs it.

Rules compare registers and cannot follow pointers. That is why `clone3`, which takes its flags in memory,
is answered with ENOSYS: glibc then falls back to `clone`, whose flags can be seen.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
from collections.abc import Iterator
from typing import NamedTuple

_LIBRARY = "libseccomp.so.2"
"""By its name: ctypes.util.find_library would run ldconfig, 14 ms in every worker that starts."""

_CLONE_THREAD = 0x0001_0000
_CLONE_NEW = 0x7E02_0080
"""CLONE_NEWTIME | NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET."""
_PR_SET_NAME = 15
_MAP_GROWSDOWN = 0x100
_ITIMER_PROF = 2
_REGISTER = 0xFFFF_FFFF_FFFF_FFFF
_INT = 0xFFFF_FFFF
"""The half of a register that an int argument fills; the kernel ignores the other."""


class Held(NamedTuple):
    """Argument number `argument`, as far as `mask` reaches, is `value`."""

    argument: int
    mask: int
    value: int


FREE = (
    *("read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "fadvise64"),  # open descriptors
    *("fstat", "ftruncate", "close", "dup", "poll", "ppoll"),
    *("recvmsg", "sendmsg"),  # the one socket there is; none can be made
    *("munmap", "mremap", "brk"),  # memory
    *("futex", "membarrier", "rseq", "set_robust_list", "set_tid_address", "sched_yield"),  # threads
    *("sched_getaffinity", "sched_getparam", "sched_getscheduler", "getcpu", "exit", "exit_group"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "restart_syscall"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack"),  # our own, to abort on
    *("getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid"),  # harmless facts
    *("getrandom", "getrusage", "sysinfo", "uname"),
)
"""Allowed with any arguments."""

FOR_FONTS = (
    *("stat", "lstat", "newfstatat", "statx", "fstatfs", "access", "faccessat", "faccessat2"),
    *("getdents64", "readlink", "getcwd"),
)
"""Needed to find fonts, and allowed under Landlock; they reveal only whether a file exists."""


def held(process: int) -> Iterator[tuple[str, tuple[Held, ...]]]:
    """Yield the calls that are allowed only with these arguments; one that recurs may match either way."""
    yield "clone", (Held(0, _CLONE_THREAD | _CLONE_NEW, _CLONE_THREAD),)  # threads, never processes
    yield "tgkill", (Held(0, _INT, process),)  # abort() signals itself
    yield "setitimer", (Held(0, _INT, _ITIMER_PROF),)  # a job's limit of CPU time
    for counted in (_OWN_MEMORY, _OF_A_FILE):
        yield "mmap", (Held(2, mmap.PROT_EXEC, 0), counted)  # nothing that was written can be run
    yield "mprotect", (Held(2, mmap.PROT_EXEC, 0),)
    yield "prctl", (Held(0, _INT, _PR_SET_NAME),)  # glib names its threads
    yield "prlimit64", (Held(0, _INT, 0), Held(2, _REGISTER, 0))  # read its own limits, set none
    for command in (fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL):
        yield "fcntl", (Held(1, _INT, command),)  # F_SETOWN could have the kernel signal a stranger
    for advice in _ADVICE:
        yield "madvise", (Held(2, _INT, advice),)


_ADVICE = (
    *(mmap.MADV_NORMAL, mmap.MADV_RANDOM, mmap.MADV_SEQUENTIAL, mmap.MADV_WILLNEED, mmap.MADV_DONTNEED),
    *(mmap.MADV_FREE, mmap.MADV_HUGEPAGE, mmap.MADV_NOHUGEPAGE),
)

_OWN_MEMORY = Held(3, mmap.MAP_ANONYMOUS | mmap.MAP_SHARED | _MAP_GROWSDOWN, mmap.MAP_ANONYMOUS)
_OF_A_FILE = Held(3, mmap.MAP_ANONYMOUS | _MAP_GROWSDOWN, 0)
"""Flags of mmap: RLIMIT_DATA counts neither shared memory nor what grows down, so there is none of these."""

_OPEN_FOR_READING = Held(
    2, os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (os.O_TMPFILE & ~os.O_DIRECTORY), os.O_RDONLY
)


_ALLOW = 0x7FFF_0000
_MASKED_EQUAL = 7
_UNKNOWN_CALL = -1


def _refuse(number: int) -> int:
    return 0x0005_0000 | number


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp of seccomp.h."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


def load_library() -> ctypes.CDLL | None:
    """Load libseccomp, while files can still be opened; None where it is missing."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.restype = None
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_load.argtypes = (ctypes.c_void_p,)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison)),
    )
    return library


def restrict(library: ctypes.CDLL, *, files: bool) -> None:
    """Bind this thread, and all that it starts later, to the list; raise OSError where that cannot be.

    `files` lets files be opened for reading: only for a process that Landlock holds, which decides which.
    """
    context = library.seccomp_init(_refuse(errno.EPERM))
    try:
        for name, arguments in _rules(files):
            _add(library, context, _ALLOW, name, arguments)
        _add(library, context, _refuse(errno.ENOSYS), "clone3", ())
        _check(library.seccomp_load(context))
    finally:
        library.seccomp_release(context)


def _rules(files: bool) -> Iterator[tuple[str, tuple[Held, ...]]]:
    for name in FREE:
        yield name, ()
    yield from held(os.getpid())
    if files:
        yield "openat", (_OPEN_FOR_READING,)
        for name in FOR_FONTS:
            yield name, ()


def _add(library: ctypes.CDLL, context: int, action: int, name: str, arguments: tuple[Held, ...]) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number == _UNKNOWN_CALL:  # an older libseccomp, which then refuses it
        return
    comparisons = (_Comparison * len(arguments))(
        *(_Comparison(each.argument, _MASKED_EQUAL, each.mask, each.value) for each in arguments)
    )
    _check(library.seccomp_rule_add_array(context, action, number, len(arguments), comparisons))


def _check(status: int) -> None:
    if status < 0:
        raise OSError(-status, os.strerror(-status))
