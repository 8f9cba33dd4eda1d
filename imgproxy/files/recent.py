"""What was asked for of late, in two dicts, so that finding it costs no more than a dict does.

What is found in the older one moves to the newer; when that is full it becomes the older one, and what
nobody has asked for since goes. That is close to least recently used, and keeps no order on a hit.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `entries`, none of them None."""

    def __init__(self, entries: int) -> None:
        self._half = max(1, entries // 2)
        self._newer: dict[K, V] = {}
        self._older: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """What is remembered, or None."""
        found = self._newer.get(key)
        if found is None and key in self._older:
            found = self._older.pop(key)
            self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Remember."""
        if len(self._newer) >= self._half and key not in self._newer:
            self._older, self._newer = self._newer, {}
        self._older.pop(key, None)
        self._newer[key] = value

    def pop(self, key: K) -> V | None:
        """Forget; return what was remembered."""
        found = self._newer.pop(key, None)
        return self._older.pop(key, None) if found is None else found

    def clear(self) -> None:
        """Forget everything."""
        self._newer, self._older = {}, {}

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)
