"""Objects in a dictionary, `memory://`: for tests, and for a demo that leaves no files."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from imgproxy.errors import NotFound
from imgproxy.image.source import Key
from imgproxy.storage import (
    HIDDEN_PREFIXES,
    Head,
    OpenObject,
    Part,
    StorageOptions,
    UnfinishedUpload,
    is_hidden,
    require_visible,
)
from imgproxy.storage.buffers import Memfd, require_at_most
from imgproxy.storage.part_rules import require_part_number, require_parts_at_most, select_parts
from imgproxy.storage.signed_url import SignedUrlStorage, UrlSigner

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class MemoryOptions(StorageOptions):
    """No place outside the process."""

    scheme = "memory"
    form = "memory://"

    @classmethod
    def parse(cls, rest: str) -> MemoryOptions:
        if rest:
            raise ValueError("expected memory:// alone")
        return cls()

    async def connect(
        self, url_signer: UrlSigner | None = None, hidden: Sequence[str] = HIDDEN_PREFIXES
    ) -> MemoryStorage:
        return MemoryStorage(url_signer, hidden=hidden)


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    head: Head


@dataclass(frozen=True, slots=True)
class _Upload:
    key: Key
    begun: float
    content_type: str | None
    parts: dict[int, tuple[Part, bytes]] = field(default_factory=dict)
    arriving: list[tuple[int, int]] = field(default_factory=list)
    """Number and announced bytes of each arriving part."""


class MemoryStorage(SignedUrlStorage):
    """A flat space of keys that ends with the process."""

    def __init__(
        self,
        url_signer: UrlSigner | None = None,
        *,
        clock: Callable[[], float] = time.time,
        hidden: Sequence[str] = HIDDEN_PREFIXES,
    ) -> None:
        """Without `url_signer`, URLs are signed by a random secret."""
        self.url_signer = url_signer or UrlSigner(secrets.token_bytes(32), clock=clock)
        self.multipart = MemoryMultipart(self._store, self.url_signer, clock, hidden)
        self._objects: dict[Key, _Object] = {}
        self._clock = clock
        self._hidden = tuple(hidden)

    async def head(self, key: Key) -> Head:
        return self._find(key).head

    async def open(self, key: Key, *, limit: int) -> OpenObject:
        """Copy an object into a new descriptor."""
        found = self._find(key)
        require_at_most(limit, found.head.size)
        with closing(Memfd(limit=limit)) as memfd:
            memfd.write(found.data)
            return memfd.finish(found.head)

    async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        data = self._find(key).data[start:end]
        for position in range(0, len(data), _CHUNK):
            yield data[position : position + _CHUNK]

    async def put(self, key: Key, chunks: AsyncIterator[bytes], *, content_type: str | None = None) -> Head:
        return self._store(key, b"".join([chunk async for chunk in chunks]), content_type)

    async def copy(self, source: Key, target: Key) -> Head:
        """Store the same bytes at a second key."""
        require_visible(target, self._hidden)
        self._objects[target] = found = self._find(source)
        return found.head

    async def delete(self, key: Key) -> None:
        self._objects.pop(key, None)

    async def list(self, prefix: str = "") -> AsyncIterator[tuple[Key, Head]]:
        for key in sorted(self._objects):
            if key.startswith(prefix) and key in self._objects and not is_hidden(key, self._hidden):
                yield key, self._objects[key].head

    async def check(self) -> None:
        """Return: memory is always reachable."""

    async def close(self) -> None:
        """Do nothing: a dictionary has no connection."""

    def _store(self, key: Key, data: bytes, content_type: str | None) -> Head:
        require_visible(key, self._hidden)
        head = Head(len(data), _version(data), self._clock(), content_type)
        self._objects[key] = _Object(data, head)
        return head

    def _find(self, key: Key) -> _Object:
        require_visible(key, self._hidden)
        try:
            return self._objects[key]
        except KeyError:
            raise NotFound("no such object") from None


class MemoryMultipart:
    """Uploads in parts that end with the process."""

    def __init__(
        self,
        store: Callable[[Key, bytes, str | None], object],
        url_signer: UrlSigner,
        clock: Callable[[], float],
        hidden: Sequence[str] = HIDDEN_PREFIXES,
    ) -> None:
        self._hidden = tuple(hidden)
        self._uploads: dict[str, _Upload] = {}
        self._store = store
        self._url_signer = url_signer
        self._clock = clock

    async def begin(self, key: Key, *, content_type: str | None = None) -> str:
        require_visible(key, self._hidden)
        upload = secrets.token_hex(16)
        self._uploads[upload] = _Upload(key, self._clock(), content_type)
        return upload

    async def presign(
        self, key: Key, upload: str, *, number: int, expires: int, limit: int | None = None
    ) -> str:
        return self._url_signer.presign_part(key, upload, number=number, expires=expires, limit=limit)

    async def receive(
        self,
        key: Key,
        upload: str,
        *,
        number: int,
        chunks: AsyncIterator[bytes],
        length: int = 0,
        limit: int | None = None,
    ) -> Part:
        """Store one part after its last chunk, replacing one of its number."""
        require_part_number(number)
        found = self._find(key, upload)
        found.arriving.append((number, length))
        try:
            if limit is not None:
                require_parts_at_most(limit, _sizes(found))
            data = b"".join([chunk async for chunk in chunks])
        finally:
            found.arriving.remove((number, length))
        part = Part(number, f'"{_version(data)}"', len(data))
        self._find(key, upload).parts[number] = (part, data)
        return part

    async def parts(self, key: Key, upload: str) -> list[Part]:
        held = self._find(key, upload).parts
        return [held[number][0] for number in sorted(held)]

    async def complete(self, key: Key, upload: str, parts: Iterable[Part]) -> None:
        found = self._find(key, upload)
        selected = select_parts(parts, {number: part for number, (part, _) in found.parts.items()})
        self._store(key, b"".join(found.parts[part.number][1] for part in selected), found.content_type)
        del self._uploads[upload]

    async def abort(self, key: Key, upload: str) -> None:
        if upload in self._uploads and self._uploads[upload].key == key:
            del self._uploads[upload]

    async def list(self, prefix: str = "") -> AsyncIterator[UnfinishedUpload]:
        for upload, found in tuple(self._uploads.items()):
            if found.key.startswith(prefix):
                yield UnfinishedUpload(found.key, upload, found.begun)

    def _find(self, key: Key, upload: str) -> _Upload:
        found = self._uploads.get(upload)
        if found is None or found.key != key:
            raise NotFound("no such upload")
        return found


def _sizes(upload: _Upload) -> Iterator[tuple[int, int]]:
    """Yield number and bytes of each part, stored or arriving."""
    yield from upload.arriving
    for number, (part, _) in upload.parts.items():
        yield number, part.size


def _version(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
