"""Request targets by the keys of their images, for caches in front that forget by URL alone.

An image has many URLs: sizes, forms, signatures. nginx can be told to forget one URL at a time, and asks us
for each before it keeps it, so what was answered is what it may hold.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from itertools import count

from imgproxy.background_tasks import BackgroundTasks
from imgproxy.errors import Unavailable
from imgproxy.image.source import Key
from imgproxy.purge.cdn import CdnPurger

_log = logging.getLogger(__name__)

_ENTRIES = 65_536  # some 0.4 KB each; four times as many as there are prebuilt response heads
_AVERAGE = 1_024  # characters of a target that are room enough: a client may send 8,190
_PAUSES = (1.0, 10.0, 60.0)  # seconds before a cache that did not answer is told again


class ServedUrls:
    """The targets answered last; the least recently answered go first."""

    def __init__(self, entries: int = _ENTRIES) -> None:
        self._entries = entries
        self._characters = 0
        self._recent: OrderedDict[tuple[Key, str], None] = OrderedDict()
        self._by_key: dict[Key, set[str]] = {}

    def note(self, key: Key, target: str) -> None:
        """Remember that a raw target was answered with an image of this key."""
        pair = key, target
        if pair in self._recent:
            self._recent.move_to_end(pair)
            return
        self._recent[pair] = None
        self._by_key.setdefault(key, set()).add(target)
        self._characters += len(target)
        while len(self._recent) > self._entries or self._characters > self._entries * _AVERAGE:
            self.forget(*next(iter(self._recent)))

    def of(self, key: Key) -> list[str]:
        """Return the targets of a key."""
        return sorted(self._by_key.get(key, ()))

    def forget(self, key: Key, *targets: str) -> None:
        """Forget targets of a key."""
        known = self._by_key.get(key, set())
        for target in targets:
            if target in known:
                del self._recent[key, target]
                known.remove(target)
                self._characters -= len(target)
        if not known:
            self._by_key.pop(key, None)


class UrlPurger:
    """Has the caches in front forget every target that was answered with a key, in the background."""

    def __init__(self, caches: CdnPurger, targets: ServedUrls, *, pauses: Iterable[float] = _PAUSES) -> None:
        self._caches = caches
        self._targets = targets
        self._pauses = tuple(pauses)
        self._tasks = BackgroundTasks()
        self._numbers = count()

    def spawn(self, key: Key) -> None:
        """Tell the caches soon; what is answered from now on is new and stays."""
        targets = self._targets.of(key)
        if targets:
            self._targets.forget(key, *targets)
            self._tasks.spawn(next(self._numbers), lambda: self._tell(key, targets))

    async def close(self) -> None:
        """Tell no more."""
        await self._tasks.close()

    async def _tell(self, key: Key, targets: list[str]) -> None:
        for pause in (*self._pauses, None):
            try:
                await self._caches.forget_targets(targets)
            except Unavailable as error:
                if pause is None:
                    _log.warning("%d URLs of '%s' may stay in a cache in front: %s", len(targets), key, error)
                    return
                await asyncio.sleep(pause)
            else:
                return
