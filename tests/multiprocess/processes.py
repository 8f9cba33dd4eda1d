"""Leftover processes and descriptors, and waiting for other processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path


async def until(holds: Callable[[], object]) -> None:
    """Wait until a condition holds; the test fails if it does not within 20 s."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  other processes set no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Afterwards there is no process and no descriptor more than before."""
    # the loop has descriptors of its own for threads, processes and streams
    await asyncio.to_thread(str)
    process = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
    await process.communicate(b"")
    before, others = descriptors(), children()
    yield
    assert children() <= others
    assert descriptors() == before


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread has ended since
            found.update(int(pid) for pid in (task / "children").read_text().split())
    return found


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
