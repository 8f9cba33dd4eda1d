"""Reading: the files that somebody may see, who they are shared with, and URLs to their bytes.

A URL to the bytes is given after a look at the record as it is now, and is good for everybody who holds it
until it ends: a file that is made private meanwhile can be had by it until then.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote

from imgproxy.errors import FileNotFound
from imgproxy.files.database import Database
from imgproxy.files.find import find
from imgproxy.files.model import File, FileId, FileState, Share
from imgproxy.files.objects import Objects
from imgproxy.files.permission import Action, listed_owner
from imgproxy.files.principal import Principal
from imgproxy.files.repository.files import file_by_key
from imgproxy.files.repository.listing import Listed, list_files
from imgproxy.files.repository.reach import ListQuery
from imgproxy.files.repository.shares import shares_of
from imgproxy.image.source import Key

Disposition = Literal["attachment", "inline"]

_SHOWN = ("image/", "audio/", "video/", "text/plain", "application/pdf")
_ACTIVE = ("image/svg+xml",)
"""Pictures that are programs: a browser would run them where they lie."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._ -]")


@dataclass(frozen=True, slots=True)
class Download:
    """Where a file's bytes can be had."""

    file: File
    url: str
    """Absolute, or a path of our own."""
    expires_in: int
    """Seconds."""
    expires_at: int


class Reading:
    """Shows files to those who may see them; to others they are `FileNotFound`."""

    def __init__(self, *, database: Database, objects: Objects, clock: Callable[[], int], ttl: int) -> None:
        """URLs are good for `ttl` seconds unless told; `clock` tells milliseconds since 1970."""
        self._database = database
        self._objects = objects
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

    async def list(self, principal: Principal, **filters: Any) -> Listed:
        """Return one page of what somebody may see; the filters are those of `ListQuery`.

        Raise `AccessDenied` for a filter on a field that the principal may not read.
        """
        query = ListQuery(principal, self._clock(), **filters)
        owner_type = listed_owner(principal, query.owner_type, query.owner_id)
        query = replace(query, owner_type=owner_type)
        return await self._database.read(lambda connection: list_files(connection, query))

    async def shares(self, principal: Principal, id_: FileId) -> tuple[Share, ...]:
        """Who a file is shared with, for its owner."""
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
    ) -> Download:
        """A URL to the bytes as they are, good for `ttl` seconds."""
        file = await self._find(principal, Action.DOWNLOAD, id_)
        seconds = ttl if ttl is not None else self._ttl
        now = self._clock()
        url = await self._objects.presign(
            "GET",
            file.object_key,
            expires=seconds,
            content_type=file.mime_type,
            disposition=content_disposition(file, disposition),
        )
        return Download(file, url, seconds, now + seconds * 1000)

    async def _find(self, principal: Principal, action: Action, id_: FileId) -> File:
        now = self._clock()
        return await self._database.read(lambda connection: find(connection, principal, action, id_, now=now))


def content_disposition(file: File, wanted: Disposition) -> str:
    """The header for a download (RFC 6266); what a browser could run is an attachment, whatever is wanted."""
    safe = file.mime_type.startswith(_SHOWN) and not file.mime_type.startswith(_ACTIVE)
    kind = wanted if safe else "attachment"
    name = file.original_name
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = _UNSAFE.sub("_", letters).strip() or "file"
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
    return f'{kind}; filename="{plain}"{extended}'
