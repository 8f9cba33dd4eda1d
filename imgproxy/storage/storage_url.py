"""Storage URLs of the settings. To add a storage: its file, its line in `STORAGES`, its test."""

from __future__ import annotations

from imgproxy.storage import StorageOptions
from imgproxy.storage.local import LocalOptions
from imgproxy.storage.memory import MemoryOptions
from imgproxy.storage.s3 import S3Options

STORAGES: tuple[type[StorageOptions], ...] = (LocalOptions, S3Options, MemoryOptions)


def parse_storage_url(url: str) -> StorageOptions:
    """Parse a storage URL; raise `ValueError` with one line that says what is expected."""
    scheme, separator, rest = url.partition("://")
    for options in STORAGES:
        if separator and options.scheme == scheme:
            return options.parse(rest)
    *forms, last = (options.form for options in STORAGES)
    raise ValueError(f"expected {', '.join(forms)} or {last}")
