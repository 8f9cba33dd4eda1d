"""Landlock: no path, no TCP port and no process outside may be reached, but folders of fonts to read.

Three system calls and no library (linux/landlock.h; their numbers are the same on every architecture).
Every right the kernel knows is handled, and what is handled and not given by a rule is refused. A kernel
with an older ABI knows fewer rights, so only those are requested. Descriptors that are open already stay
usable: that is how images come and go.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Sequence
from typing import TypeAlias

Syscall: TypeAlias = Callable[..., int]
"""Number and arguments; raises OSError."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 5: 16}
"""ABI -> how many rights over files it knows: EXECUTE to MAKE_SYM, then REFER, TRUNCATE, IOCTL_DEV."""
_NET_SINCE, _NET = 4, 0b11
"""BIND_TCP, CONNECT_TCP."""
_SCOPES_SINCE, _SCOPES = 6, 0b11
"""ABSTRACT_UNIX_SOCKET, SIGNAL: neither reaches a process outside."""


def restrict(*, readable: Sequence[str], syscall: Syscall) -> None:
    """Bind this thread, and all that it starts later; raise OSError on a kernel without Landlock.

    `readable` are the folders whose files may be read; those that do not exist are left away. The caller
    has set no-new-privileges.
    """
    abi = syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    attributes = _attributes(abi)
    ruleset = syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for folder in readable:
            _let_read(folder, ruleset, syscall)
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _attributes(abi: int) -> bytes:
    """Return struct landlock_ruleset_attr, as long as this ABI defines it."""
    rights = max(count for since, count in _RIGHTS_BY_ABI.items() if since <= abi)
    fields = [(1 << rights) - 1]
    if abi >= _NET_SINCE:
        fields.append(_NET)
    if abi >= _SCOPES_SINCE:
        fields.append(_SCOPES)
    return struct.pack(f"={len(fields)}Q", *fields)


def _let_read(folder: str, ruleset: int, syscall: Syscall) -> None:
    try:
        beneath = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        syscall(
            _ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", _READ_FILE | _READ_DIR, beneath), 0
        )
    finally:
        os.close(beneath)


def kernel(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call of the running kernel."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    words = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    answer = int(library.syscall(ctypes.c_long(number), *words))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
