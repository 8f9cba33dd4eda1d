"""Budget of one job's image memory, counted before images are computed."""

from __future__ import annotations

from imgproxy.errors import ImageTooLarge

_MIB = 1024 * 1024


class MemoryBudget:
    """Bytes of images that a job holds in memory."""

    def __init__(self, limit: int) -> None:
        """Allow `limit` bytes at once."""
        self._limit = limit
        self._held = 0

    def take(self, size: int) -> None:
        """Count `size` bytes beside what is held; raise `ImageTooLarge` if that is too much."""
        if self._held + size > self._limit:
            raise ImageTooLarge(
                f"the image would take {-(-(self._held + size) // _MIB)} MiB of memory: "
                f"at most {self._limit // _MIB} are allowed"
            )
        self._held += size

    def keep(self, size: int) -> None:
        """Release everything but `size` bytes."""
        self._held = size
