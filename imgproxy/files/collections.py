"""The collections that every tenant has; rows of his own go before them.

An upload goes to the collection that its category names, or else to one by its type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from imgproxy.files.model import Collection, Visibility

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
    """Whether files of a type may be in a collection."""
    family = f"{mime_type.partition('/')[0]}/*"
    return not collection.types or mime_type in collection.types or family in collection.types
