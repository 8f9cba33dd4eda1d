"""What is too long for one message, in a memfd: written by one process, read once and closed by the other."""

from __future__ import annotations

import asyncio
import os

_AT_ONCE_BYTES = 1024 * 1024
"""Longer ones are copied on a thread: 1 MiB takes 0.2 ms."""


async def pack(payload: bytes) -> int:
    """The descriptor of a copy, the caller's to close."""
    if len(payload) <= _AT_ONCE_BYTES:
        return _written(payload)
    job = asyncio.ensure_future(asyncio.to_thread(_written, payload))
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        job.add_done_callback(lambda done: os.close(done.result()))  # the thread outlives us
        raise


def is_small(descriptor: int) -> bool:
    """Whether it may be read at once."""
    return os.fstat(descriptor).st_size <= _AT_ONCE_BYTES


def unpack(descriptor: int) -> bytes:
    """Read it, and close it."""
    try:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def _written(payload: bytes) -> int:
    descriptor = os.memfd_create("answer", os.MFD_CLOEXEC)
    view = memoryview(payload)
    while view:  # a signal may cut a write short
        view = view[os.write(descriptor, view) :]
    return descriptor
