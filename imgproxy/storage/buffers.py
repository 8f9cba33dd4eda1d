"""Buffers of object bytes: blocks of equal size for disk and S3, and sealed memory for workers."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncGenerator, AsyncIterator
from io import BytesIO

from imgproxy.errors import SourceTooLarge
from imgproxy.storage import Head, OpenObject

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class Memfd:
    """An object that arrives in anonymous memory: `write` the chunks, `finish` once, `close` always."""

    def __init__(self, *, limit: int) -> None:
        self.size = 0
        self._limit = limit
        self._descriptor = os.memfd_create("original", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)

    def write(self, chunk: bytes) -> None:
        """Append bytes; raise `SourceTooLarge` before the limit is exceeded."""
        self.size += len(chunk)
        require_at_most(self._limit, self.size)
        view = memoryview(chunk)
        while view:  # a signal may cut a write short
            view = view[os.write(self._descriptor, view) :]

    def finish(self, head: Head) -> OpenObject:
        """Seal the bytes, so that no process can change them, and open them read-only.

        The descriptor is opened anew for reading: kernels before 6.7 refuse to map a sealed one that
        could write with MAP_SHARED, which is how libvips maps its sources.
        """
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _SEALS)
        return OpenObject(os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_CLOEXEC), head)

    def close(self) -> None:
        """Close the writable descriptor, once; an `OpenObject` stays open."""
        os.close(self._descriptor)


def require_at_most(limit: int, size: int) -> None:
    """Raise `SourceTooLarge` for an object of more than `limit` bytes."""
    if size > limit:
        raise SourceTooLarge(f"the source image has more than {limit} bytes")


async def blocks(chunks: AsyncIterator[bytes], *, size: int) -> AsyncGenerator[BytesIO, None]:
    """Regroup chunks into blocks of exactly `size` bytes, each at its beginning.

    The last may be shorter; none is empty. At most one block and one chunk are in memory.
    """
    block = BytesIO()
    async for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            room = size - block.tell()
            block.write(rest[:room])
            rest = rest[room:]
            if block.tell() == size:
                block.seek(0)
                yield block
                block = BytesIO()
    if block.tell():
        block.seek(0)
        yield block
