"""Registering: an upload becomes a file, once.

Of any number who register one upload at once, one wins. What is refused, or fails, can be tried again, after
another PUT if need be, for as long as the upload's URL is good. What was published before anybody
registered it (`IMGPROXY_PUBLISH=auto`) is registered as it is, and gets the facts that it had not.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from imgproxy.errors import FileNotFound, ImgproxyError, InvalidRequest, KeyExists, UploadExpired
from imgproxy.files import promises
from imgproxy.files.database import Connection, Database
from imgproxy.files.examine import Claimed
from imgproxy.files.freeze import Facts, Freezer, Tell
from imgproxy.files.hold import Hold, claim, draw_hold
from imgproxy.files.model import File, FileState, Task, Upload, UploadState, Visibility
from imgproxy.files.names import Names
from imgproxy.files.principal import Principal
from imgproxy.files.repository.files import lock_file, update_file
from imgproxy.files.repository.outbox import add_task
from imgproxy.files.repository.uploads import transition_upload, upload_by_key
from imgproxy.files.uploads import may_use
from imgproxy.files.verify import agree
from imgproxy.image.source import Key


@dataclass(frozen=True, slots=True)
class Registration:
    """What was uploaded, and what it is said to be."""

    key: Key
    mime_type: str
    size: int
    facts: Facts
    """Of these, the visibility is the upload's, or the file's if it is one already, unless it is told."""
    visibility: Visibility | None = None
    collection: str | None = None


class Registrar:
    """Registers uploads."""

    def __init__(self, *, database: Database, freezer: Freezer, names: Names, tell: Tell) -> None:
        self._database = database
        self._freezer = freezer
        self._names = names
        self._tell = tell

    async def register(self, principal: Principal, said: Registration) -> File:
        """Make an upload a file; raise a `FilesError`, or a `SourceError` when storage fails."""
        hold = draw_hold(self._names, principal.tenant)
        now = self._names.clock()
        strips = self._freezer.strips
        purge = promises.forget_in_front(self._names, principal.tenant, said.key)
        upload, file = await self._database.write(
            partial(_begin, principal=principal, said=said, hold=hold, purge=purge, strips=strips, now=now)
        )
        if file is not None:
            with suppress(ImgproxyError):  # it is registered, whoever could not be told
                await self._tell(file.key)
            return file
        return await self._freezer.freeze(
            upload, hold, _facts(upload, said), _claimed(upload, said), to=UploadState.CONSUMED
        )


def _begin(
    connection: Connection,
    *,
    principal: Principal,
    said: Registration,
    hold: Hold,
    purge: Task,
    strips: Callable[[str], bool],
    now: int,
) -> tuple[Upload, File | None]:
    """Take the upload, or its file if it is one already; `purge` has whoever is in front forget that."""
    upload = upload_by_key(connection, principal.tenant, said.key)
    if upload is None or upload.kind == "stream" or not may_use(principal, upload):
        raise FileNotFound("there is no upload of this key")
    if said.collection not in (None, upload.collection):
        raise InvalidRequest(f"bucket: the upload is of {upload.collection}, not of {said.collection}")
    match upload.state:
        case UploadState.CONSUMED:
            raise KeyExists("this key is registered already")
        case UploadState.ABORTED | UploadState.EXPIRED:
            raise UploadExpired("the upload was given up, or never came: ask for a new URL")
        case UploadState.PUBLISHED:
            return upload, _adopt(connection, upload, said, purge=purge, strips=strips, now=now)
    return claim(connection, upload, hold, now=now), None


def _adopt(
    connection: Connection,
    upload: Upload,
    said: Registration,
    *,
    purge: Task,
    strips: Callable[[str], bool],
    now: int,
) -> File:
    """Give a file that is there already what it is said to be."""
    mine = transition_upload(
        connection,
        upload.tenant,
        upload.id,
        from_states=(UploadState.PUBLISHED,),
        to=UploadState.CONSUMED,
        now=now,
    )
    file = lock_file(connection, upload.tenant, upload.file_id) if mine and upload.file_id else None
    if file is None or file.state is not FileState.READY:
        raise KeyExists("this key is registered already")
    # A client knows the size that it sent, and metadata is part of that.
    size = min(said.size, file.size) if strips(file.mime_type) else said.size
    agree(file, mime_type=said.mime_type, size=size)
    after = update_file(connection, file, _adopted(file, said, now))
    if after.generation != file.generation:
        add_task(connection, purge)
    return after


def _adopted(file: File, said: Registration, now: int) -> File:
    """A file with what is said of it; the rest is what it was, or became since it was published."""
    facts = said.facts
    visibility = said.visibility or file.visibility
    return replace(
        file,
        original_name=facts.original_name,
        visibility=visibility,
        category=facts.category if facts.category is not None else file.category,
        description=facts.description if facts.description is not None else file.description,
        alt=facts.alt if facts.alt is not None else file.alt,
        related_entity_id=facts.related_entity_id or file.related_entity_id,
        tags=facts.tags or file.tags,
        metadata=facts.metadata or file.metadata,
        updated_at=now,
        generation=file.generation + (visibility is not file.visibility),
    )


def _facts(upload: Upload, said: Registration) -> Facts:
    return replace(said.facts, visibility=said.visibility or upload.visibility)


def _claimed(upload: Upload, said: Registration) -> Claimed:
    """All that was ever said of the bytes."""
    declared = (upload.declared_type, upload.declared_size)
    return Claimed(
        said.facts.original_name,
        tuple(kind for kind in (declared[0], said.mime_type) if kind is not None),
        tuple(size for size in (declared[1], said.size) if size is not None),
    )
