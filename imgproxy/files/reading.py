"""FileReader: the files that somebody may see, who they are shared with, and URLs to their bytes.

A URL to the bytes is given after a look at the record as it is now. One that leads to us names the file's
generation and ends with any change of visibility or shares, and with a delete. One that leads to storage is
good for everybody who holds it until its time ends, whatever becomes of the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from imgproxy.errors import FileNotFound
from imgproxy.files.database import Connection, Database
from imgproxy.files.disposition import PLAIN, Disposition, content_disposition, content_type
from imgproxy.files.mime_types import normal
from imgproxy.files.model import File, FileId, FileState, Share, Visibility
from imgproxy.files.policy import Action, depends_on_shares, listed_owner, require, shared_until
from imgproxy.files.principal import Principal
from imgproxy.files.repository.files import file_by_id, file_by_key, lock_file, shares_of
from imgproxy.files.repository.lists import ListPage, ListQuery, list_files
from imgproxy.files.sniff import SNIFFED_BYTES, sniff
from imgproxy.image.source import Key
from imgproxy.storage import Storage
from imgproxy.storage.signed_url import UrlSigner


def find(
    connection: Connection, principal: Principal, action: Action, id_: FileId, *, now: int, lock: bool = False
) -> File:
    """Return the file if the principal may do this with it; raise `FileNotFound` or `AccessDenied`.

    With `lock`, no other transaction changes the file before this one ends.
    """
    file = (lock_file if lock else file_by_id)(connection, principal.tenant, id_)
    if file is None:
        raise FileNotFound("there is no such file")
    shares = shares_of(connection, file.tenant, file.id) if depends_on_shares(principal, file) else ()
    require(principal, action, file, shares, now=now)
    return file


@dataclass(frozen=True, slots=True)
class DownloadLink:
    """URL to a file's bytes."""

    file: File
    url: str
    """Absolute, or a path of our own."""
    expires_in: int
    """Seconds."""
    expires_at: int


class FileReader:
    """Shows files to those who may see them; to others they are `FileNotFound`."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Storage,
        clock: Callable[[], int],
        ttl: int,
        url_signer: UrlSigner | None = None,
    ) -> None:
        """URLs are good for at most `ttl` seconds; `clock` tells milliseconds since 1970.

        With `url_signer` they lead to us, without to storage.
        """
        self._database = database
        self._objects = objects
        self._url_signer = url_signer
        self._clock = clock
        self._ttl = ttl

    async def get(self, principal: Principal, id_: FileId, *, deleted: bool = False) -> File:
        """A file; a deleted one is shown to who may restore it, if `deleted` asks for it."""
        file = await self._find(principal, Action.GET, id_)
        if file.state is FileState.DELETED and not deleted:
            raise FileNotFound("there is no such file")
        return file

    async def identify(self, principal: Principal, key: Key) -> FileId:
        """The id of the file of a key, if it is of who asks' tenant; may he see it, `get` says."""
        file = await self._database.read(lambda connection: file_by_key(connection, key))
        if file is None or file.tenant != principal.tenant:
            raise FileNotFound("there is no such file")
        return file.id

    async def list(self, principal: Principal, **filters: Any) -> ListPage:
        """Return one page of what somebody may see; the filters are those of `ListQuery`.

        Raise `AccessDenied` for a filter on a field that the principal may not read.
        """
        query = ListQuery(principal, self._clock(), **filters)
        owner_type = listed_owner(principal, query.owner_type, query.owner_id)
        query = replace(query, owner_type=owner_type)
        return await self._database.read(lambda connection: list_files(connection, query))

    async def shares(self, principal: Principal, id_: FileId) -> tuple[Share, ...]:
        """Return the shares of a file, for its owner."""
        now = self._clock()

        def work(connection: Any) -> tuple[Share, ...]:
            file = find(connection, principal, Action.SHARE, id_, now=now)
            return shares_of(connection, file.tenant, file.id)

        return await self._database.read(work)

    async def download(
        self,
        principal: Principal,
        id_: FileId,
        *,
        disposition: Disposition = "attachment",
        ttl: int | None = None,
    ) -> DownloadLink:
        """Return a URL to the bytes as they are, good for `ttl` seconds, or as long as any may be."""
        now = self._clock()
        file, end = await self._database.read(partial(_downloaded, principal=principal, id_=id_, now=now))
        seconds = min(ttl or self._ttl, self._ttl)
        if end is not None:
            seconds = max(1, min(seconds, (end - now) // 1000))
        if disposition == "inline" and not await self._is_what_it_says(file):
            disposition = "attachment"
        told: dict[str, Any] = {
            "expires": seconds,
            "content_type": content_type(file),
            "disposition": content_disposition(file, disposition),
        }
        if self._url_signer is not None:
            url = self._url_signer.presign("GET", file.key, generation=file.generation, **told)
        else:
            url = await self._objects.presign("GET", file.object_key, **told)
        return DownloadLink(file, url, seconds, now + seconds * 1000)

    async def _is_what_it_says(self, file: File) -> bool:
        """Return whether text is no markup: a client may declare HTML as text, and old browsers sniff."""
        if normal(file.mime_type) != PLAIN:
            return True
        stream = cast("Any", self._objects.read(file.object_key, end=SNIFFED_BYTES))
        async with aclosing(stream) as chunks:
            first = b"".join([chunk async for chunk in chunks])
        return await asyncio.to_thread(sniff, first) == PLAIN

    async def _find(self, principal: Principal, action: Action, id_: FileId) -> File:
        now = self._clock()
        return await self._database.read(lambda connection: find(connection, principal, action, id_, now=now))


def _downloaded(
    connection: Connection, *, principal: Principal, id_: FileId, now: int
) -> tuple[File, int | None]:
    """A file that somebody may download, and when they may no more if that is known."""
    file = find(connection, principal, Action.DOWNLOAD, id_, now=now)
    shares = shares_of(connection, file.tenant, file.id) if file.visibility is Visibility.SHARED else ()
    return file, shared_until(principal, file, shares, now=now)
