"""Registering: an upload becomes a file, once.

Of any number who register one upload at once, one wins. What is refused, or fails, can be tried again, after
another PUT if need be, for as long as the upload's URL is good. What was published before anybody
registered it (`IMGPROXY_PUBLISH=auto`) is registered as it is, with the values of the registration.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from imgproxy.errors import FileNotFound, ImgproxyError, InvalidRequest, KeyExists, UploadExpired
from imgproxy.files import outbox_tasks
from imgproxy.files.database import Connection, Database
from imgproxy.files.fields import FileValues
from imgproxy.files.finalize import DeclaredContent, Finalizer, Tell
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.mime_types import agree
from imgproxy.files.model import File, FileState, Task, Upload, UploadState
from imgproxy.files.principal import Principal
from imgproxy.files.repository.files import lock_file, update_file
from imgproxy.files.repository.outbox import add_task
from imgproxy.files.repository.uploads import transition_upload, upload_by_key
from imgproxy.files.upload_lease import UploadLease, acquire, new_lease
from imgproxy.files.uploads import may_use
from imgproxy.image.source import Key


@dataclass(frozen=True, slots=True)
class UploadRegistration:
    """Registration of an upload by its client."""

    key: Key
    mime_type: str
    size: int
    values: FileValues
    """The upload's or file's visibility and category hold unless they are among these."""
    collection: str | None = None


class Registrar:
    """Registers uploads."""

    def __init__(self, *, database: Database, finalizer: Finalizer, ids: IdGenerator, tell: Tell) -> None:
        self._database = database
        self._finalizer = finalizer
        self._ids = ids
        self._tell = tell

    async def register(self, principal: Principal, said: UploadRegistration) -> File:
        """Make an upload a file; raise a `FilesError`, or a `SourceError` when storage fails."""
        lease = new_lease(self._ids, principal.tenant)
        now = self._ids.clock()
        strips = self._finalizer.strips
        purge = outbox_tasks.forget_in_front(self._ids, principal.tenant, said.key)
        upload, file = await self._database.write(
            partial(_begin, principal=principal, said=said, lease=lease, purge=purge, strips=strips, now=now)
        )
        if file is not None:
            with suppress(ImgproxyError):  # it is registered, whoever could not be told
                await self._tell(file.key)
            return file
        return await self._finalizer.finalize(
            upload, lease, said.values, _claimed(upload, said), to=UploadState.CONSUMED
        )


def _begin(
    connection: Connection,
    *,
    principal: Principal,
    said: UploadRegistration,
    lease: UploadLease,
    purge: Task,
    strips: Callable[[str], bool],
    now: int,
) -> tuple[Upload, File | None]:
    """Acquire the upload, or adopt its file if it is one already; `purge` is the task for caches in front."""
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
    return acquire(connection, upload, lease, now=now), None


def _adopt(
    connection: Connection,
    upload: Upload,
    said: UploadRegistration,
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


def _adopted(file: File, said: UploadRegistration, now: int) -> File:
    """A file with what is said of it; the rest is what it was, or became since it was published."""
    after = replace(file, updated_at=now, **said.values)
    return replace(after, generation=file.generation + (after.visibility is not file.visibility))


def _claimed(upload: Upload, said: UploadRegistration) -> DeclaredContent:
    """Return the types and sizes that the client has declared."""
    declared = (upload.declared_type, upload.declared_size)
    return DeclaredContent(
        said.values["original_name"],
        tuple(kind for kind in (declared[0], said.mime_type) if kind is not None),
        tuple(size for size in (declared[1], said.size) if size is not None),
    )
