"""A worker that tries to get out: run as a program, locked in as every worker is, by the very same code.

Each probe tries one thing that captured code would try, on the thread that takes jobs. It is denied if the
kernel refuses it with the expected error number; whatever returns was allowed. `render` runs them all and
writes what happened as JSON into the result. With `unlocked` as its last argument the program runs those
that anybody may do, without a lock, and prints the same: a probe that fails there too proves nothing.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import socket
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import pyvips

from imgproxy.engine import seccomp, vips, worker
from imgproxy.engine.worker_protocol import Job, Rendered
from imgproxy.image.formats import Format

FOLDER = "/tmp"  # noqa: S108
NOTHING = "/tmp/imgproxy-escaped"  # noqa: S108
"""Where no file is: a lock that fails lets a probe through to an error that is not ours to see."""
PARENT = os.getppid()
LIBC = ctypes.CDLL(None, use_errno=True)
LIBSECCOMP = seccomp.load_library()
assert LIBSECCOMP is not None
CHANNEL, OTHER_END = socket.socketpair()
"""The one socket there is; a worker's is its server's."""
RESULT = -1
"""The descriptor of the job under way."""

PROT_READ_WRITE_EXEC = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
SHARED = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
GROWING = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100  # MAP_GROWSDOWN
F_SETOWN, F_SETFL = 8, 4
MADV_HWPOISON = 100
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP = 1, 4, 22
CLONE_NEWUSER, SIGCHLD = 0x1000_0000, 17


class SystemCalls(dict[str, int]):
    """Name -> number on this machine."""

    def __missing__(self, name: str) -> int:
        return int(LIBSECCOMP.seccomp_syscall_resolve_name(name.encode()))


SYSTEM_CALLS = SystemCalls()


def call(name: str, *arguments: int | bytes | None) -> None:
    """Make a system call by its name."""
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    if LIBC.syscall(ctypes.c_long(SYSTEM_CALLS[name]), *words) == -1:
        raise OSError(ctypes.get_errno(), name)


def forked(make: Callable[[], int]) -> None:
    """Make a process; should that work, let it go."""
    child = make()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def spawned() -> None:
    """Make a process as the standard library does."""
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def remapped_for_running() -> None:
    """Make written memory runnable, as code that was smuggled in would have to."""
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    call("mprotect", address, mmap.PAGESIZE, PROT_READ_WRITE_EXEC)


def opened(path: str, flags: int = os.O_RDONLY) -> None:
    """Open a file and close it again."""
    os.close(os.open(path, flags, 0o600))


def saved_by_libvips(path: str) -> None:
    """Let libvips write a file by its name."""
    pyvips.Image.black(8, 8).write_to_file(path)


def opened_by_libvips(open_file: Callable[[str], object], path: str) -> None:
    """Let libvips open a file; it passes on what the kernel says as text."""
    try:
        open_file(path)
    except pyvips.Error as error:
        number = errno.EACCES if "Permission denied" in str(error) else errno.EPERM
        raise OSError(number, str(error)) from error


FILES: dict[str, Callable[[], object]] = {
    "read an absolute path": partial(opened, "/etc/passwd"),
    "read a relative path": partial(opened, "etc/passwd"),
    "read our own source": partial(opened, __file__),
    "read the environment by proc": partial(opened, "/proc/self/environ"),
    "read our own memory by proc": partial(opened, "/proc/self/mem"),
    "read the server's memory": partial(opened, f"/proc/{PARENT}/mem"),
    "read the server's environment": partial(opened, f"/proc/{PARENT}/environ"),
    "read the server's descriptors": partial(os.listdir, f"/proc/{PARENT}/fd"),
    "open a descriptor anew": lambda: opened(f"/proc/self/fd/{RESULT}", os.O_RDWR),
    "read a device": partial(opened, "/dev/zero"),
    "list the root": partial(os.listdir, "/"),
    "list proc": partial(os.listdir, "/proc"),
    "list the temporary folder": partial(os.listdir, FOLDER),
    "write a file": partial(opened, NOTHING, os.O_WRONLY | os.O_CREAT),
    "write among the fonts": partial(opened, "/usr/share/fonts/escaped", os.O_WRONLY | os.O_CREAT),
    "make an unnamed file": partial(opened, FOLDER, os.O_RDWR | os.O_TMPFILE),
    "truncate on opening": partial(opened, NOTHING, os.O_RDONLY | os.O_TRUNC),
    "openat2": partial(call, "openat2", -100, b"/etc/passwd", bytes(24), 24),
    "open_by_handle_at": partial(call, "open_by_handle_at", 0, bytes(24), 0),
    "mkdir": partial(os.mkdir, NOTHING),
    "rmdir": partial(os.rmdir, NOTHING),
    "unlink": partial(os.unlink, NOTHING),
    "rename": partial(os.rename, NOTHING, f"{NOTHING}-more"),
    "link": partial(os.link, "/etc/passwd", NOTHING),
    "symlink": partial(os.symlink, "/etc/passwd", NOTHING),
    "chmod": partial(os.chmod, NOTHING, 0o777),
    "chown": partial(os.chown, NOTHING, 0, 0),
    "truncate": partial(os.truncate, NOTHING, 0),
    "utime": partial(os.utime, NOTHING),
    "setxattr": partial(os.setxattr, NOTHING, "user.a", b"b"),
    "mknod": partial(os.mknod, NOTHING),
    "chdir": partial(os.chdir, FOLDER),
    "chroot": partial(os.chroot, NOTHING),
    "mount": partial(call, "mount", b"none", b"/nothing", b"tmpfs", 0, None),
    "pivot_root": partial(call, "pivot_root", b"/nothing", b"/nothing"),
    "inotify": partial(call, "inotify_init1", 0),
    "fanotify": partial(call, "fanotify_init", 0, 0),
    "load by libvips": partial(opened_by_libvips, pyvips.Source.new_from_file, "/etc/passwd"),
    "save by libvips": partial(opened_by_libvips, saved_by_libvips, f"{NOTHING}.png"),
    "memfd_create": partial(os.memfd_create, "program"),
}

ADDRESS = struct.pack("=H", socket.AF_UNIX) + b"\0anywhere"

NETWORK: dict[str, Callable[[], object]] = {
    **{
        f"socket {name}": partial(lambda family: socket.socket(family, socket.SOCK_DGRAM).close(), family)
        for name, family in {
            "inet": socket.AF_INET,
            "inet6": socket.AF_INET6,
            "unix": socket.AF_UNIX,
            "netlink": socket.AF_NETLINK,
            "packet": socket.AF_PACKET,
            "vsock": socket.AF_VSOCK,
        }.items()
    },
    "socketpair": socket.socketpair,
    "bind": lambda: call("bind", CHANNEL.fileno(), ADDRESS, len(ADDRESS)),
    "connect": lambda: call("connect", CHANNEL.fileno(), ADDRESS, len(ADDRESS)),
    "sendto": lambda: call("sendto", CHANNEL.fileno(), b"x", 1, 0, ADDRESS, len(ADDRESS)),
    "listen": lambda: CHANNEL.listen(),
    "accept": lambda: CHANNEL.accept(),
}

PROCESSES: dict[str, Callable[[], object]] = {
    "fork": partial(forked, os.fork),
    "vfork": partial(call, "vfork"),
    "clone a process": partial(forked, lambda: LIBC.syscall(SYSTEM_CALLS["clone"], SIGCHLD, 0, 0, 0, 0) or 0),
    "posix_spawn": spawned,
    "subprocess": partial(subprocess.run, ["/bin/true"], check=False),
    "execve": partial(os.execve, "/bin/true", ["true"], {}),
    "execveat": partial(call, "execveat", 0, b"", None, None, 0x1000),
    "fexecve": lambda: os.execve(RESULT, ["program"], {}),  # noqa: S606
    "signal the server": partial(os.kill, PARENT, 0),
    "signal the group": partial(os.kill, 0, 0),
    "signal everyone": partial(os.kill, -1, 0),
    "signal a thread of the server": partial(call, "tgkill", PARENT, PARENT, 0),
    "tkill": partial(call, "tkill", PARENT, 0),
    "queue a signal": partial(call, "rt_sigqueueinfo", PARENT, 0, None),
    "have signals sent": lambda: call("fcntl", CHANNEL.fileno(), F_SETOWN, PARENT),
    "change a descriptor's mode": lambda: call("fcntl", CHANNEL.fileno(), F_SETFL, os.O_ASYNC),
    "pidfd_open": partial(call, "pidfd_open", PARENT, 0),
    "pidfd_getfd": partial(call, "pidfd_getfd", 0, 0, 0),
    "ptrace": partial(call, "ptrace", 16, PARENT, 0, 0),
    "read the server's memory by call": partial(call, "process_vm_readv", PARENT, None, 0, None, 0, 0),
    "write the server's memory by call": partial(call, "process_vm_writev", PARENT, None, 0, None, 0, 0),
    "setsid": os.setsid,
    "wait for a process": partial(os.waitpid, -1, 0),
}

PRIVILEGES: dict[str, Callable[[], object]] = {
    "setuid": partial(os.setuid, 0),
    "setgid": partial(os.setgid, 0),
    "setgroups": partial(os.setgroups, []),
    "capset": partial(call, "capset", bytes(8), bytes(24)),
    "unshare": partial(call, "unshare", CLONE_NEWUSER),
    "setns": partial(call, "setns", 0, 0),
    "keyctl": partial(call, "keyctl", 0, 0, 0, 0, 0),
    "add_key": partial(call, "add_key", b"user", b"a", b"b", 1, -3),
    "bpf": partial(call, "bpf", 0, None, 0),
    "io_uring": partial(call, "io_uring_setup", 1, bytes(120)),
    "userfaultfd": partial(call, "userfaultfd", 0),
    "perf_event_open": partial(call, "perf_event_open", bytes(128), 0, -1, -1, 0),
    "init_module": partial(call, "init_module", None, 0, b""),
    "kexec_load": partial(call, "kexec_load", 0, 0, None, 0),
    "sethostname": partial(call, "sethostname", None, 7),
    "set the clock": partial(call, "clock_settime", 0, None),
    "personality": partial(call, "personality", 0x0040000),
    "be dumpable again": partial(call, "prctl", PR_SET_DUMPABLE, 1, 0, 0, 0),
    "outlive the server": partial(call, "prctl", PR_SET_PDEATHSIG, 0, 0, 0, 0),
    "prctl seccomp": partial(call, "prctl", PR_SET_SECCOMP, 1, 0, 0, 0),
    "raise a limit": partial(call, "prlimit64", 0, resource.RLIMIT_AS, bytes([255] * 16), None),
    "limit the server": partial(call, "prlimit64", PARENT, resource.RLIMIT_NOFILE, None, None),
    "choose a processor": partial(os.sched_setaffinity, 0, {0}),
    "ioctl": lambda: call("ioctl", CHANNEL.fileno(), 0x541B, bytes(8)),
    "shared memory": partial(call, "shmget", 0, 4096, 0o1600),
    "message queue": partial(call, "mq_open", b"escaped", os.O_CREAT, 0o600, None),
    "map memory to be run": partial(mmap.mmap, -1, mmap.PAGESIZE, prot=PROT_READ_WRITE_EXEC),
    "make memory runnable": remapped_for_running,
    "map memory that no limit counts": partial(mmap.mmap, -1, mmap.PAGESIZE, flags=SHARED),
    "map memory that is counted as a stack": partial(mmap.mmap, -1, mmap.PAGESIZE, flags=GROWING),
    "poison memory": partial(call, "madvise", 0, mmap.PAGESIZE, MADV_HWPOISON),
}

ANYBODY_MAY = (
    *("read an absolute path", "read a relative path", "read our own source", "read the environment by proc"),
    *("list the root", "list proc", "read a device", "make an unnamed file", "memfd_create", "inotify"),
    *("socket inet", "socket unix", "socket netlink", "socketpair", "fork", "posix_spawn", "subprocess"),
    *("signal the server", "pidfd_open", "be dumpable again", "map memory to be run", "make memory runnable"),
    *("choose a processor", "personality", "load by libvips"),
    *("map memory that no limit counts", "map memory that is counted as a stack"),
)
"""Without a lock, and with no privilege."""


PROBES = FILES | NETWORK | PROCESSES | PRIVILEGES


def attempt(probe: Callable[[], object]) -> str:
    """Try to get out, and say how that went: `allowed`, or what the kernel said."""
    try:
        probe()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "allowed"


def attempt_on_threads_of_libvips() -> dict[int, str]:
    """Try to open a file wherever libvips reads from: by thread, what the kernel said."""
    pyvips.concurrency_set(4)
    picture = pyvips.Image.gaussnoise(1500, 1500).cast("uchar").write_to_buffer(".png")
    position, said = 0, {}

    def read(length: int) -> bytes:
        nonlocal position
        said.setdefault(threading.get_native_id(), attempt(FILES["read an absolute path"]))
        start, position = position, min(position + length, len(picture))
        return picture[start:position]

    source = pyvips.SourceCustom()
    source.on_read(read)
    pyvips.Image.new_from_source(source, "", access="sequential").avg()
    return said


def inherited() -> dict[int, str]:
    """Descriptor -> what it is, of all that are open."""
    kinds = {}
    for descriptor in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        try:
            mode = os.fstat(descriptor).st_mode
        except OSError:
            continue
        kinds[descriptor] = {stat.S_IFCHR: "device", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}.get(
            stat.S_IFMT(mode), "file"
        )
    return kinds


def render(
    job: Job, original: int | None, overlays: Sequence[int], result: int, *, stop: Callable[[Any], None]
) -> Rendered:
    """Try everything, and write down what happened."""
    global RESULT
    RESULT = result
    facts = {
        "probes": {name: attempt(probe) for name, probe in PROBES.items()},
        "threads": attempt_on_threads_of_libvips(),
        "environment": dict(os.environ),
        "inherited": inherited(),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS},
        "clone3": attempt(partial(call, "clone3", bytes(88), 88)),
        "parent": PARENT,
    }
    written = os.write(result, json.dumps(facts).encode())
    return Rendered(Format.JPEG, 1, 1, 1, written, 0, 0)


LIMITS = ("RLIMIT_DATA", "RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_NOFILE", "RLIMIT_FSIZE")

if __name__ == "__main__":
    os.chdir("/")
    if sys.argv[-1] == "unlocked":
        print(json.dumps({name: attempt(PROBES[name]) for name in ANYBODY_MAY}))
    else:
        CHANNEL.close()
        OTHER_END.close()
        CHANNEL = socket.socket(fileno=int(sys.argv[-1]))
        worker.start(
            CHANNEL,
            memory=int(sys.argv[-2]),
            render=render,
            prepare=vips.prepare,
            warm=vips.warm,
            describe=vips.describe,
        )
