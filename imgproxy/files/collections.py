"""The collections that every tenant has; rows of his own go before them.

An upload goes to the collection that its category names, or else to one by its type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from cachetools import TTLCache

from imgproxy.errors import FileTooLarge, FileTooSmall, InvalidFormat
from imgproxy.files.database import Database
from imgproxy.files.model import Collection, TenantId, Visibility
from imgproxy.files.repository.tenants import collections_of

_MB = 1024**2
_GB = 1024**3
_DAY = 24 * 3600

_PUBLIC = (
    Collection("images", Visibility.PUBLIC, 20 * _MB, ("image/*",)),
    Collection("avatars", Visibility.PUBLIC, 2 * _MB, ("image/*",)),
)
_PRIVATE = (
    Collection("documents", Visibility.PRIVATE, 50 * _MB),
    Collection("media", Visibility.PRIVATE, 5 * _GB, ("audio/*", "video/*")),
    Collection("attachments", Visibility.PRIVATE, 10 * _MB, ("application/pdf", "image/*")),
    Collection("exports", Visibility.PRIVATE, 5 * _GB),
    Collection("backups", Visibility.PRIVATE, 5 * _GB),
    Collection("temp", Visibility.PRIVATE, 100 * _MB, retention=_DAY),
    Collection("files", Visibility.PRIVATE, 5 * _GB),
)

DEFAULTS: Mapping[str, Collection] = MappingProxyType({each.name: each for each in (*_PUBLIC, *_PRIVATE)})

_BY_TYPE = {"image": "images", "video": "media", "audio": "media", "text": "documents"}
_DOCUMENTS = (
    "application/pdf",
    "application/msword",
    "application/rtf",
    "application/vnd.ms-",
    "application/vnd.oasis.opendocument.",
    "application/vnd.openxmlformats-officedocument.",
)
_ELSE = "files"


def choose(names: Iterable[str], *, category: str | None, mime_type: str) -> str:
    """Name the collection of an upload: its category if one of `names`, else by its type."""
    if category is not None and category in names:
        return category
    if mime_type.startswith(_DOCUMENTS):
        return "documents"
    return _BY_TYPE.get(mime_type.partition("/")[0], _ELSE)


def takes(collection: Collection, mime_type: str) -> bool:
    """Return whether a collection takes files of a type."""
    family = f"{mime_type.partition('/')[0]}/*"
    return not collection.types or mime_type in collection.types or family in collection.types


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
        return every[choose(every, category=category, mime_type=essence(mime_type))]

    async def named(self, tenant: TenantId, name: str) -> Collection:
        """Return a collection by name; the default one for files if it does not exist."""
        every = await self._of(tenant)
        return every.get(name) or every[choose(every, category=None, mime_type="")]

    async def _of(self, tenant: TenantId) -> Mapping[str, Collection]:
        found = self._known.get(tenant)
        if found is None:
            listed = await self._database.read(lambda connection: collections_of(connection, tenant))
            found = self._known[tenant] = {**DEFAULTS, **{each.name: each for each in listed}}
        return found


def essence(mime_type: str) -> str:
    """A type without parameters, in lower case: what two types are compared by."""
    return mime_type.partition(";")[0].strip().lower()


def check_type(collection: Collection, mime_type: str) -> None:
    """Raise `InvalidFormat` unless a collection takes files of a type."""
    if not takes(collection, essence(mime_type)):
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
