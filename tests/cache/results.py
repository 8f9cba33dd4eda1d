"""Results for the tests of the tiers on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from imgproxy.cache.key import ResultKey
from imgproxy.cache.tiers import Entry
from imgproxy.image.formats import Format

SECOND = 1_000_000_000


def entry(*sources: str, size: int = 100, fill: bytes = b"x") -> Entry:
    return Entry(fill * size, "image/png", Format.PNG, sources)


def key(number: int) -> ResultKey:
    return ResultKey(f"{number:032x}")


def files(root: Path, below: str = "") -> list[Path]:
    """Every file in a folder, in order."""
    return sorted(path for path in (root / below).rglob("*") if path.is_file())


def left_open() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not read


class Clock:
    """A clock that a test sets; begins at the machine's, for files are stamped with that."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        self.now += 1
        return self.now


def disk_with(free: Callable[[], int]) -> Callable[[Path], os.statvfs_result]:
    """A `statvfs` that tells of so many free bytes."""
    return lambda _: os.statvfs_result((1, 1, 0, free(), free(), 0, 0, 0, 0, 255))
