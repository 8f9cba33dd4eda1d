"""Columns of `files` by which lists find and order: text to search, place in time, code of the tenant.

PostgreSQL indexes the trigrams of `search`, SQLite copies it into the FTS5 table `files_fts`; triggers of the
schema keep that table and `file_tags` true (`migrations/versions/0002_lists.py`).
"""

from __future__ import annotations

import hashlib
import unicodedata
import zlib
from typing import Any

from imgproxy.files.model import File, TenantId

_RANDOM_BITS = 21  # below the 42 bits of milliseconds since 1970: 63 in all, enough until 2109
_LETTERS, _FIRST_LETTER = 432, 0x100  # Latin letters of two bytes
SEARCH_LENGTH = 3
"""Characters of the shortest text that a trigram index can find."""


def search_columns(file: File) -> dict[str, Any]:
    """Return the columns of a file's row that are made for lists."""
    texts = (file.original_name, file.description, file.alt)
    return {
        "seq": seq_of(file.created_at, file.id),
        "tenant_code": tenant_code(file.tenant),
        "search": folded("\n".join(text for text in texts if text)),
    }


def folded(text: str) -> str:
    """Return a text as it is searched: case-folded and NFKC, so that encodings of one letter are equal."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def seq_of(created_at: int, id_: str) -> int:
    """Return a file's place among all files by time; files of one millisecond are in a random order."""
    return created_at << _RANDOM_BITS | zlib.crc32(id_.encode()) & (1 << _RANDOM_BITS) - 1


def tenant_code(tenant: TenantId) -> str:
    """Return one trigram for a tenant, so that a search reads no other tenant's part of the index.

    FTS5 cannot filter by a column of the table. Two tenants of one code, one pair in 80 million, share speed
    and nothing else: the tenant is compared as well.
    """
    number = int.from_bytes(hashlib.blake2b(tenant.encode("utf-8", "replace"), digest_size=8).digest())
    code = ""
    for _ in range(SEARCH_LENGTH):
        number, letter = divmod(number, _LETTERS)
        code += chr(_FIRST_LETTER + letter)
    return code
