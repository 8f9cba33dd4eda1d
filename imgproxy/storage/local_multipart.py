"""Objects that travel to a folder in parts: what S3 does with them, done with files.

A part is seen when it is whole, and so is the object. They are put together within the kernel; no part is
ever in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from imgproxy.errors import StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import Part, UnfinishedUpload
from imgproxy.storage.assembly import chosen, numbered
from imgproxy.storage.draft import Draft, drafting, pour
from imgproxy.storage.folder import ObjectFolder
from imgproxy.storage.signed_url import UrlSigner
from imgproxy.storage.threads import Threads
from imgproxy.storage.uploads import PartsFolder


class LocalMultipart:
    """Uploads in parts, each known by its key and its id."""

    def __init__(self, folder: ObjectFolder, threads: Threads, url_signer: UrlSigner) -> None:
        self._uploads = PartsFolder(folder)
        self._threads = threads
        self._url_signer = url_signer

    async def begin(
        self,
        key: Key,
        *,
        content_type: str | None = None,  # noqa: ARG002 - a file has no place for it
    ) -> str:
        """Begin an upload and return its id."""
        return await self._threads.run(self._uploads.begin, key)

    async def presign(
        self, key: Key, upload: str, *, number: int, expires: int, limit: int | None = None
    ) -> str:
        """Return the path of a signed URL for one part."""
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
        """Keep one part once its last chunk is here, in place of what had its number.

        Before the first chunk is asked for, `length` bytes are reserved within the `limit` of all parts.
        """
        numbered(number)
        async with drafting(self._threads, self._uploads.part_draft, key, upload, number) as draft:
            if limit is not None:
                await self._threads.run(self._uploads.reserve, draft, key, upload, length, limit)
            await pour(self._threads, chunks, draft)
            return await self._threads.run(self._uploads.keep, draft, key, upload, number)

    async def parts(self, key: Key, upload: str) -> list[Part]:
        """List what has arrived, in order."""
        return list((await self._threads.run(self._uploads.held, key, upload)).values())

    async def complete(self, key: Key, upload: str, parts: Iterable[Part]) -> None:
        """Put parts together; another completion of the same upload meanwhile finds nothing any more."""
        wanted = chosen(parts, await self._threads.run(self._uploads.held, key, upload))
        async with drafting(self._threads, self._uploads.draft, key, upload) as draft:
            for part in wanted:
                await self._append(draft, key, upload, part)
            await self._threads.run(self._uploads.publish, draft, key, upload)

    async def abort(self, key: Key, upload: str) -> None:
        """Throw the parts away."""
        await self._threads.run(self._uploads.remove, key, upload)

    async def list(self, prefix: str = "") -> AsyncIterator[UnfinishedUpload]:
        """Every unfinished upload there was when the listing began."""
        for upload in await self._threads.run(self._uploads.list, prefix):
            yield upload

    async def _append(self, draft: Draft, key: Key, upload: str, part: Part) -> None:
        start = 0
        while start < part.size:
            copied = await self._threads.run(self._uploads.append, draft, key, upload, part, start)
            if not copied:
                raise StorageFailed("a part ended before its length")
            start += copied
