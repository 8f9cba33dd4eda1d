"""Which storage is meant: the text of the setting, as a value, and the storage that answers to it.

    file://DIR
    s3://BUCKET[/PREFIX]?region=&endpoint=&public_endpoint=&path_style=1
    memory://

A new backend is one file, one address here and one line in each of the two functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl

from imgproxy.errors import BadKey
from imgproxy.image.source import parse_key
from imgproxy.storage import Storage
from imgproxy.storage.bucket import S3Options
from imgproxy.storage.hidden import HIDDEN_PREFIXES
from imgproxy.storage.local import LocalStorage
from imgproxy.storage.memory import MemoryStorage
from imgproxy.storage.signed_url import UrlSigner

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_PARAMETERS = ("region", "endpoint", "public_endpoint", "path_style")
_ENDPOINT = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_REGION = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """A folder."""

    root: Path


@dataclass(frozen=True, slots=True)
class MemoryOptions:
    """Nowhere but here."""


StorageOptions = LocalOptions | MemoryOptions | S3Options


def parse(url: str) -> StorageOptions:
    """Read an address; raise `ValueError` saying in one line what is expected."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "file":
        return _local(rest)
    if separator and scheme == "s3":
        return _s3(rest)
    if url == "memory://":
        return MemoryOptions()
    raise ValueError("expected file://DIR, s3://BUCKET[/PREFIX] or memory://")


async def make(
    address: StorageOptions, url_signer: UrlSigner | None = None, *, hidden: Sequence[str] = HIDDEN_PREFIXES
) -> Storage:
    """Return the storage at an address; it is not asked anything yet, see `Storage.check`.

    `url_signer` signs the URLs of storages that clients reach through this server. Keys that begin with a
    prefix of `hidden` name no object.
    """
    match address:
        case LocalOptions(root):
            return LocalStorage(root, url_signer, hidden=hidden)
        case MemoryOptions():
            return MemoryStorage(url_signer, hidden=hidden)
        case S3Options():
            # Here, because botocore takes 0.15 s and 8 MB to import, which a folder does not need.
            from imgproxy.storage.s3 import S3Storage

            return await S3Storage.connect(replace(address, hidden=tuple(hidden)))


def _local(folder: str) -> LocalOptions:
    """Take the rest of the text as it stands: nothing is decoded, and '?' begins no parameters."""
    if not folder or "\0" in folder:
        raise ValueError("expected a folder: file://./data/objects or file:///var/lib/objects")
    return LocalOptions(Path(folder))


def _s3(rest: str) -> S3Options:
    place, _, query = rest.partition("?")
    bucket, _, prefix = place.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError("expected the name of a bucket: s3://BUCKET[/PREFIX]; credentials go into AWS_*")
    given = _parameters(query)
    return S3Options(
        bucket=bucket,
        prefix=_prefix(prefix),
        region=_region(given.get("region")),
        endpoint=_endpoint("endpoint", given.get("endpoint")),
        public_endpoint=_endpoint("public_endpoint", given.get("public_endpoint")),
        path_style=_switch("path_style", given.get("path_style", "0")),
    )


def _parameters(query: str) -> dict[str, str]:
    """Read the query; a parameter without a value is one not given."""
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    if len(given) != len(pairs):
        raise ValueError("expected each parameter once")
    for name in given:
        if name not in _PARAMETERS:
            raise ValueError(f"expected only the parameters {', '.join(_PARAMETERS)}, not {name!r}")
    return {name: value for name, value in given.items() if value}


def _prefix(path: str) -> str:
    prefix = path.strip("/")
    try:
        return parse_key(prefix) if prefix else ""
    except BadKey as error:
        raise ValueError(f"expected a prefix that can begin a key: {error}") from None


def _region(value: str | None) -> str | None:
    if value and not _REGION.fullmatch(value):
        raise ValueError("expected region to be a name as us-east-1 is")
    return value


def _endpoint(name: str, value: str | None) -> str | None:
    if value and not _ENDPOINT.fullmatch(value):
        raise ValueError(f"expected {name} to be http://HOST[:PORT] or https://HOST[:PORT]")
    return value


def _switch(name: str, value: str) -> bool:
    if value not in ("0", "1"):
        raise ValueError(f"expected {name} to be 0 or 1")
    return value == "1"
