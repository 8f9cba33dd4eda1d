"""Where the record is kept, as read from a setting that may hold a password: nothing here shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

_POSTGRESQL = ("postgresql", "postgres")
_EXPECTED = "sqlite:///PATH or postgresql://[USER[:PASSWORD]@]HOST[:PORT]/NAME is expected"


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    """A file; its folder is made if need be."""

    path: Path


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A database on a server; `url` as libpq reads it, password and all."""

    url: str = field(repr=False)


DatabaseUrl = SqliteUrl | PostgresUrl


def parse(text: str) -> DatabaseUrl:
    """Read an address; raise `ValueError` saying what is expected, and nothing of what it held."""
    scheme, colon, rest = text.partition("://")
    if not colon:
        raise ValueError(_EXPECTED)
    if scheme == "sqlite":
        path = unquote(rest.removeprefix("/"))
        if not rest.startswith("/") or not path or "?" in path:
            raise ValueError(_EXPECTED)
        return SqliteUrl(Path(path))
    if scheme not in _POSTGRESQL:
        raise ValueError(_EXPECTED)
    parts = urlsplit(text)
    if not parts.path.strip("/"):
        raise ValueError(_EXPECTED)
    return PostgresUrl(f"postgresql://{rest}")
