"""Who may see a key: what the edge asks before it serves, on hits as on misses.

The edge believes nothing else. A change of visibility raises the record's generation, so whatever was made
under an older one is neither served nor kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from imgproxy.files.model import Visibility
from imgproxy.image.source import Key


@dataclass(frozen=True, slots=True)
class Record:
    """What the edge must know of a registered file."""

    key: Key
    visibility: Visibility
    version: str
    """Changes whenever the bytes do."""
    generation: int
    """Raised by every change of state."""
    modified: float
    """Seconds since 1970."""
    tenant: str = ""
    filename: str = ""


class Access(Protocol):
    """The record of files as the edge sees it; answers from memory where it can."""

    async def look(self, key: Key) -> Record | None:
        """The record of a key, or None if no file is registered there."""

    def at_hand(self, key: Key) -> Record | None:
        """The record of a key if memory has it, at once; None may also mean that `look` must be asked."""


class MemoryAccess:
    """Records in a dict, for the demo and for tests."""

    def __init__(self) -> None:
        self._records: dict[Key, Record] = {}

    async def look(self, key: Key) -> Record | None:
        return self._records.get(key)

    def at_hand(self, key: Key) -> Record | None:
        return self._records.get(key)

    def register(
        self, key: Key, visibility: Visibility, *, version: str, modified: float, tenant: str = ""
    ) -> Record:
        """Add a file, or change one; the generation goes up."""
        before = self._records.get(key)
        record = Record(
            key=key,
            visibility=visibility,
            version=version,
            generation=before.generation + 1 if before else 1,
            modified=modified,
            tenant=tenant,
            filename=key.rsplit("/", 1)[-1],
        )
        self._records[key] = record
        return record

    def forget(self, key: Key) -> None:
        """Delete a file's record."""
        self._records.pop(key, None)
