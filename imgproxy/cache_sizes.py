"""Sizes of the caches in memory, derived from `IMGPROXY_MEMORY_BYTES`; those on disk have their own settings.

| field | holds | one entry |
|---|---|---|
| results | finished images, the hits | its bytes and 1 KB |
| source_bytes | source images in use lately | its bytes |
| source_files | the same, each a file descriptor | a descriptor |
| file_rows | file rows, and keys without one | 0.7 KB |
| source_versions | objects without a file row, as storage last described them | 0.5 KB |
| previous_versions | objects that were overwritten | 0.5 KB |
| served_urls | URLs to purge in caches that know no tags | 0.4 KB |
| response_heads | prebuilt response heads | 2 KB |
| parsed_urls | parsed URLs | 2 KB |
| failures | failed transforms and sources | 0.3 KB |

With 256 MiB, the default, all but results, sources and parsed URLs take up to 180 MiB when full.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CacheSizes:
    """Maximum of entries, or of bytes where the table says so, of each cache of one process."""

    results: int
    source_bytes: int
    source_files: int
    file_rows: int
    source_versions: int
    previous_versions: int
    served_urls: int
    response_heads: int
    parsed_urls: int
    failures: int


def cache_sizes(memory: int) -> CacheSizes:
    """Return the sizes for so many bytes of results."""
    return CacheSizes(
        results=memory,
        source_bytes=memory // 4,
        source_files=256,  # a process has 1,024 descriptors by default
        file_rows=_entries(memory, 65_536),
        source_versions=_entries(memory, 65_536),
        previous_versions=_entries(memory, 8_192),
        served_urls=_entries(memory, 65_536),
        response_heads=_entries(memory, 16_384),
        parsed_urls=_entries(memory, 8_192),
        failures=_entries(memory, 16_384),
    )


def _entries(memory: int, default: int) -> int:
    """Scale a size that suits the default of 256 MiB, and not below an eighth."""
    return max(default * memory // (256 * 1024**2), default // 8)


DEFAULT = cache_sizes(256 * 1024**2)
