"""What may go wrong, when told: a storage and a record that fail before or after they have done as asked.

Whoever asks is told of a failure in both cases, as when an answer is lost. Or he is not there any more:
then the task that asks is cancelled, as it is when a client leaves.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

from imgproxy.errors import StorageFailed, Unavailable
from imgproxy.files.database import Database, T, Work
from imgproxy.image.source import Key
from imgproxy.storage import Head, Storage

When = Literal["before", "after", "left"]
"""`left`: after it is done, whoever asked is gone."""


@dataclass(frozen=True)
class Fault:
    """What fails: the call of this name, after so many that do not."""

    name: str
    when: When
    after: int = 0


class Faults:
    """At most one is planned at a time, and comes once."""

    def __init__(self) -> None:
        self._plan: Fault | None = None
        self._left = 0

    def plan(self, fault: Fault) -> None:
        self._plan, self._left = fault, fault.after

    def clear(self) -> bool:
        """Plan nothing any more; return whether what was planned has come."""
        came, self._plan = self._plan is None, None
        return came

    async def strike(self, name: str, when: Literal["before", "after"], error: Exception) -> None:
        """Fail, if that is planned for now."""
        plan = self._plan
        if plan is None or plan.name != name or (plan.when == "before") != (when == "before"):
            return
        if self._left:
            self._left -= 1
            return
        self._plan = None
        if plan.when != "left":
            raise error
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)


class DoubtfulRecord:
    """A record whose writes may fail, and which may be slow to tell of a key."""

    def __init__(self, inner: Database, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults
        self.hold: tuple[str, asyncio.Event] | None = None
        """Who asks of this key next waits for this, once it was read."""
        self.hold_write: asyncio.Event | None = None
        """The next write waits for this before it begins."""
        self.reached = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read(self, work: Work[T]) -> T:
        found = await self._inner.read(work)
        hold = self.hold
        if hold is not None and getattr(work, "keywords", {}).get("key") == hold[0]:
            self.hold = None
            self.reached.set()
            await hold[1].wait()
        return found

    async def write(self, work: Work[T]) -> T:
        hold, self.hold_write = self.hold_write, None
        if hold is not None:
            self.reached.set()
            await hold.wait()
        error = Unavailable("the record of files cannot be reached")
        await self._faults.strike("write", "before", error)
        written = await self._inner.write(work)
        await self._faults.strike("write", "after", error)
        return written


class DoubtfulStorage:
    """A storage that may fail, and that counts how often each object was written by us."""

    def __init__(self, inner: Storage, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults
        self.writes: Counter[Key] = Counter()
        self.hold_copy: asyncio.Event | None = None
        """Who copies next waits for this, once it is done."""
        self.reached = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def head(self, key: Key) -> Head:
        await self._strike("head", "before")
        return await self._inner.head(key)

    async def put(self, key: Key, chunks: AsyncIterator[bytes], *, content_type: str | None = None) -> Head:
        await self._strike("put", "before")
        self.writes[key] += 1
        head = await self._inner.put(key, chunks, content_type=content_type)
        await self._strike("put", "after")
        return head

    async def copy(self, source: Key, target: Key) -> Head:
        await self._strike("copy", "before")
        self.writes[target] += 1
        head = await self._inner.copy(source, target)
        hold, self.hold_copy = self.hold_copy, None
        if hold is not None:
            self.reached.set()
            await hold.wait()
        await self._strike("copy", "after")
        return head

    async def delete(self, key: Key) -> None:
        await self._strike("delete", "before")
        await self._inner.delete(key)
        await self._strike("delete", "after")

    async def _strike(self, name: str, when: Literal["before", "after"]) -> None:
        await self._faults.strike(name, when, StorageFailed("the storage does not answer"))
