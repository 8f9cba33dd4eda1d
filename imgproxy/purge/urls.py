"""URLs served for each key, for caches in front that purge by URL alone.

An image has many URLs: sizes, spellings, signatures. nginx purges one URL at a time and fetches each from the
server before it caches it, so it holds no others than those that were served.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from itertools import count

from imgproxy.background_tasks import BackgroundTasks
from imgproxy.cache_sizes import DEFAULT
from imgproxy.errors import Unavailable
from imgproxy.image.source import Key
from imgproxy.purge.cdn import CdnPurger

_log = logging.getLogger(__name__)

_AVERAGE = 1_024  # characters of a target that are room enough: a client may send 8,190
_PAUSES = (1.0, 10.0, 60.0)  # seconds before a failed purge is sent again


class ServedUrls:
    """Request targets served last, by key; the least recently served are dropped first."""

    def __init__(self, entries: int = DEFAULT.served_urls) -> None:
        self._entries = entries
        self._characters = 0
        self._recent: OrderedDict[tuple[Key, str], None] = OrderedDict()
        self._by_key: dict[Key, set[str]] = {}

    def note(self, key: Key, target: str) -> None:
        """Record a raw target that was answered with an image of this key."""
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
    """Purges in the background of every target that was served with a key."""

    def __init__(self, caches: CdnPurger, targets: ServedUrls, *, pauses: Iterable[float] = _PAUSES) -> None:
        self._caches = caches
        self._targets = targets
        self._pauses = tuple(pauses)
        self._tasks = BackgroundTasks()
        self._numbers = count()

    def spawn(self, key: Key) -> None:
        """Start a purge of a key's targets; those that are served from now on are new."""
        targets = self._targets.of(key)
        if targets:
            self._targets.forget(key, *targets)
            self._tasks.spawn(next(self._numbers), lambda: self._tell(key, targets))

    async def close(self) -> None:
        """Cancel purges under way."""
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
