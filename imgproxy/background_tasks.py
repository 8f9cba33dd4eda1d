"""Work that nobody waits for: one errand for each name at a time, and none outlives its owner.

What an errand brings back is kept where it belongs by the errand itself. That it failed in an ordinary way is
told nobody: whoever needs its fruit next begins it anew, or meets the same failure and is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress

from imgproxy.errors import ImgproxyError

_log = logging.getLogger(__name__)


class BackgroundTasks:
    """The errands under way, by name."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._closed = False

    def spawn(self, name: Hashable, work: Callable[[], Awaitable[object]]) -> None:
        """Have something done soon, unless it is being done already, or the end has come."""
        if name not in self._tasks and not self._closed:
            self._tasks[name] = asyncio.create_task(self._do(name, work))

    async def close(self) -> None:
        """Give up what is under way, and wait until it has ended; nothing is begun any more."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()  # one that was cancelled before it began has not said that it ended

    async def _do(self, name: Hashable, work: Callable[[], Awaitable[object]]) -> None:
        try:
            with suppress(ImgproxyError):
                await work()
        except Exception:
            _log.exception("a defect behind the answers")
        finally:
            self._tasks.pop(name, None)
