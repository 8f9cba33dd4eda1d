"""A whole object in memory, as a file descriptor that can be lent to another process.

Bytes are counted while they arrive and sealed when the last is in: from then on nobody, whatever
process the descriptor travels to, can change what was counted.
"""

from __future__ import annotations

import fcntl
import os

from imgproxy.errors import SourceTooLarge
from imgproxy.storage import Head, OpenObject

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class Memfd:
    """An object that is arriving: `write` what comes, `finish` it once, `close` whatever happens."""

    def __init__(self, *, limit: int) -> None:
        self.size = 0
        self._limit = limit
        self._descriptor = os.memfd_create("original", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)

    def write(self, chunk: bytes) -> None:
        """Append bytes; raise `SourceTooLarge` instead of taking one too many."""
        self.size += len(chunk)
        refuse_above(self._limit, self.size)
        view = memoryview(chunk)
        while view:  # a signal may cut a write short
            view = view[os.write(self._descriptor, view) :]

    def finish(self, head: Head) -> OpenObject:
        """Seal the bytes and hand them out from their beginning, read-only.

        The descriptor is opened anew for reading: kernels before 6.7 refuse to map a sealed one that
        could write with MAP_SHARED, which is how libvips maps its sources.
        """
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _SEALS)
        return OpenObject(os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_CLOEXEC), head)

    def close(self) -> None:
        """Give back what was written into; an `OpenObject` handed out lives on. Not to be called twice."""
        os.close(self._descriptor)


def refuse_above(limit: int, size: int) -> None:
    """Raise `SourceTooLarge` if an object of `size` bytes is not to be handed out."""
    if size > limit:
        raise SourceTooLarge(f"the original has more than {limit} bytes")
