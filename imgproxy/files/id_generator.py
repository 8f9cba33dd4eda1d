"""Generator of ids, of the keys that clients see, and of object keys.

Nobody can guess a key (128 bits are drawn for each), and none is used twice. Time and lots are handed in.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from imgproxy.files.model import FileId, TenantId, UploadId
from imgproxy.image.source import Key

_DRAWN_BYTES = 10
_VERSION = 7 << 76
_VARIANT = 2 << 62


def uuid7(now: int, draw: Callable[[int], bytes]) -> str:
    """Draw an id at `now`, in milliseconds since 1970; `draw(n)` gives n random bytes."""
    drawn = int.from_bytes(draw(_DRAWN_BYTES), "big")
    high, low = drawn >> 62 & 0xFFF, drawn & (1 << 62) - 1
    return str(uuid.UUID(int=now << 80 | _VERSION | high << 64 | _VARIANT | low))


_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY_BYTES, _KEY_DIGITS = 16, 22
_OBJECT_BYTES, _OBJECT_DIGITS = 8, 11
_LONGEST_NAME = 100
_AT_ONCE = 1024
_LONGEST_EXTENSION = 16
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SEGMENT = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")  # a name that begins with a dot is hidden


class Entropy:
    """Random bytes, drawn from `source` many at a time: each draw lets go of the interpreter's lock.

    To be called in one thread. A process that is forked would draw what its parent draws: ours are spawned.
    """

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source
        self._left = b""

    def __call__(self, size: int) -> bytes:
        """Return that many bytes, none of them twice."""
        if len(self._left) < size:
            self._left = self._source(max(size, _AT_ONCE))
        drawn, self._left = self._left[:size], self._left[size:]
        return drawn


@dataclass(frozen=True, slots=True)
class IdGenerator:
    """Draws names; `clock` tells milliseconds since 1970, `draw(n)` gives n random bytes."""

    clock: Callable[[], int]
    entropy: Callable[[int], bytes]

    def id(self) -> str:
        """An id that nothing has yet."""
        return uuid7(self.clock(), self.entropy)

    def key(self, collection: str, name: str) -> Key:
        """The name by which clients know a file, and its path on the edge; at most 223 bytes."""
        return Key(f"{safe_name(collection)}/{self._random_text(_KEY_BYTES, _KEY_DIGITS)}/{safe_name(name)}")

    def staging_key(self, tenant: TenantId, upload: UploadId) -> Key:
        """Return the key that a client may write to; no reader uses it."""
        return Key(f"staging/{_folder(tenant)}/{upload}")

    def object_key(self, tenant: TenantId, file: FileId) -> Key:
        """Return the key of a file's bytes: no client ever gets a URL to write there."""
        return Key(f"files/{_folder(tenant)}/{file}/{self._random_text(_OBJECT_BYTES, _OBJECT_DIGITS)}")

    def _random_text(self, size: int, digits: int) -> str:
        number, text = int.from_bytes(self.entropy(size), "big"), ""
        for _ in range(digits):
            number, digit = divmod(number, len(_ALPHABET))
            text = _ALPHABET[digit] + text
        return text


def safe_name(name: str) -> str:
    """A name that stands in any URL and on any disk, with its extension: `Été 1.JPG` is `Ete-1.JPG`."""
    letters = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    stem, dot, extension = _UNSAFE.sub("-", plain).rpartition(".")
    if not dot or len(extension) > _LONGEST_EXTENSION:
        stem, extension = f"{stem}{dot}{extension}", ""
    extension = extension.strip("-")
    ending = f".{extension}" if extension else ""
    stem = stem.strip("-.")[: _LONGEST_NAME - len(ending)].rstrip("-.")
    return f"{stem or 'file'}{ending}"


def _folder(tenant: TenantId) -> str:
    """A tenant's folder: a token may name a tenant by what no folder can be called."""
    if _SEGMENT.fullmatch(tenant):
        return tenant
    return f"_{blake2b(tenant.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"
