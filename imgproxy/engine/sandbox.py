"""The lock a worker shuts behind itself: after it, bytes come and go by descriptors, and nothing else does.

Called once, after `import pyvips` and before libvips's first operation: Landlock and seccomp bind the
calling thread and the threads it starts later, and libvips's first operation starts the threads that
decode. Locking with those running would leave free just what must be held, so it is checked.

A kernel or machine may lack some of it. Then the rest is applied, and the worker reports which.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
from collections.abc import Sequence
from pathlib import Path

from imgproxy.engine import landlock, seccomp

FONTS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/etc/fonts",
    "/var/cache/fontconfig",
    "/usr/share/fontconfig",
)
"""Pango opens a face when text first needs it, so these stay readable."""

LOCKS = ("no-new-privileges", "rlimits", "landlock", "seccomp")
_REMEDIES = {
    "landlock": "Linux 5.13 or newer with landlock among its security modules, and a container runtime that "
    "allows its system calls",
    "seccomp": "libseccomp.so.2, as in Debian's package libseccomp2, and a kernel with seccomp filters",
}

MEMORY = 768 * 1024**2
"""A worker's own memory, in bytes."""
AT_REST = 64 * 1024**2
"""Memory that a worker has before a job: 25 MiB at first, and what earlier jobs leave in its heaps."""
STACKS = 40 * 1024**2
"""Address space of its five threads' stacks, which RLIMIT_DATA counts though hardly any of it is used."""
MAPPED = 4 * 1024**3
"""Address space beyond `MEMORY`, for what takes none of it: libraries, images that are mapped from files."""
DESCRIPTORS = 64
"""The result, the source and 20 overlays, each twice while libvips has it open, and a few of our own."""
RESULT_BYTES = 256 * 1024**2

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPABILITY_VERSION_3 = 0x2008_0522
_NOBODY = 65_534


def lock(
    *,
    parent: int | None = None,
    memory: int = MEMORY,
    file_bytes: int = RESULT_BYTES,
    fonts: tuple[str, ...] = FONTS,
    syscall: landlock.Syscall = landlock.kernel,
) -> tuple[str, ...]:
    """Lock this process in for good and say which locks hold.

    Any of `no-new-privileges`, `rlimits`, `landlock`, `seccomp`. With `parent`, exit if that process is gone:
    it may have died before it could take this one with it.
    """
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise RuntimeError(f"the sandbox is to be locked with one thread running, not with {threads}")
    libc = ctypes.CDLL(None, use_errno=True)
    locks = [_give_up_privileges(libc), _limit(memory, file_bytes)]
    _die_with(parent, libc)
    library = seccomp.load_library()  # Landlock would not let it be opened
    with contextlib.suppress(OSError):
        landlock.restrict(readable=fonts, syscall=syscall)
        locks.append("landlock")
    with contextlib.suppress(OSError):
        if library is not None:
            seccomp.restrict(library, files="landlock" in locks)
            locks.append("seccomp")
    return tuple(locks)


def shortcoming(locks: Sequence[str]) -> str:
    """Return which locks are missing and what they need, or an empty text if none is."""
    missing = [name for name in LOCKS if name not in locks]
    needs = "; ".join(f"{name} needs {_REMEDIES[name]}" for name in missing if name in _REMEDIES)
    return f"the sandbox of workers lacks {', '.join(missing)}: {needs}" if missing else ""


def allows(size: int) -> bool:
    """Return whether a job may surely take `size` bytes of memory in this process."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return limit == resource.RLIM_INFINITY or size <= limit - STACKS - AT_REST


def _give_up_privileges(libc: ctypes.CDLL) -> str:
    """Gain none again, and drop those that a server run by root has handed down."""
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # a user namespace may have no such user
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))
    return "no-new-privileges"


def _limit(memory: int, file_bytes: int) -> str:
    """Bound memory, descriptors and the result.

    Not the processes: RLIMIT_NPROC counts every thread of the user, the server's and other workers' too, so
    a bound that is safe for them bounds nothing here. That no process can be made is seccomp's part.
    """
    for what, limit in (
        (resource.RLIMIT_DATA, memory + STACKS),
        (resource.RLIMIT_AS, memory + MAPPED),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
        (resource.RLIMIT_FSIZE, file_bytes),
    ):
        _, hard = resource.getrlimit(what)
        least = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (least, least))
    return "rlimits"


def _die_with(parent: int | None, libc: ctypes.CDLL) -> None:
    """Die with the server, and let no process of the same user read this memory.

    After the change of user, which resets both.
    """
    _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(libc, _PR_SET_DUMPABLE, 0)
    if parent is not None and os.getppid() != parent:
        raise SystemExit("the server is gone")


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
