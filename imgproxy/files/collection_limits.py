"""On which terms a tenant takes files: its collections, remembered for seconds, and what they allow.

Asked twice for each file: of what a client says before a byte moves, and of what came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cachetools import TTLCache

from imgproxy.errors import FileTooLarge, FileTooSmall, InvalidFormat
from imgproxy.files import collections
from imgproxy.files.database import Database
from imgproxy.files.model import Collection, TenantId
from imgproxy.files.repository.tenants import collections_of

_REMEMBERED_MS = 5_000
_TENANTS = 4_096


class CollectionLimits:
    """The collections of all tenants."""

    def __init__(self, database: Database, *, clock: Callable[[], int]) -> None:
        """`clock` tells milliseconds."""
        self._database = database
        self._known: TTLCache[TenantId, Mapping[str, Collection]] = TTLCache(_TENANTS, _REMEMBERED_MS, clock)

    async def choose(self, tenant: TenantId, *, category: str | None, mime_type: str) -> Collection:
        """The collection for a file: the one that its category names, or else one by its type."""
        every = await self._of(tenant)
        return every[collections.choose(every, category=category, mime_type=essence(mime_type))]

    async def named(self, tenant: TenantId, name: str) -> Collection:
        """A collection that files are in already; without limits if it is not there any more."""
        every = await self._of(tenant)
        return every.get(name) or every[collections.choose(every, category=None, mime_type="")]

    async def _of(self, tenant: TenantId) -> Mapping[str, Collection]:
        found = self._known.get(tenant)
        if found is None:
            listed = await self._database.read(lambda connection: collections_of(connection, tenant))
            found = self._known[tenant] = {each.name: each for each in listed}
        return found


def essence(mime_type: str) -> str:
    """A type without parameters, in lower case: what two types are compared by."""
    return mime_type.partition(";")[0].strip().lower()


def check_type(collection: Collection, mime_type: str) -> None:
    """Raise `InvalidFormat` unless a collection takes files of a type."""
    if not collections.takes(collection, essence(mime_type)):
        expected = ", ".join(collection.types)
        raise InvalidFormat(f"{collection.name} takes {expected}, not {essence(mime_type)}")


def size_limit(collection: Collection, declared: int | None) -> int:
    """Maximum bytes of an upload: those that its client declared, and else those of its collection."""
    return collection.max_size if declared is None else min(declared, collection.max_size)


def check_size(collection: Collection, size: int) -> None:
    """Raise `FileTooLarge` or `FileTooSmall` unless a collection takes files of so many bytes."""
    if size > collection.max_size:
        raise FileTooLarge(f"{collection.name} takes at most {collection.max_size} bytes, not {size}")
    if size < collection.min_size:
        raise FileTooSmall(f"{collection.name} takes at least {collection.min_size} bytes, not {size}")
