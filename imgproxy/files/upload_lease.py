"""Holding an upload: the right to make a file of it, in three transactions of which one wins.

    claim       the upload is ours, and the outbox promises to remove the object that is to come
    publish     the file is there, the upload has ended, the promise is taken back
    give back   the upload is as it was, and the promise is kept

Wherever we die, what is left is an upload that can be taken over after `LEASE_MS`, and a promise that
removes its object after twice as long. Whether a commit was kept whose answer was lost need not be known: it
took the promise back, or it did not. Nobody but the outbox ever deletes an object that a file may have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from imgproxy.errors import Conflict
from imgproxy.files import outbox_tasks
from imgproxy.files.database import Connection
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import File, FileId, Task, TenantId, Upload, UploadState
from imgproxy.files.repository.files import insert_file
from imgproxy.files.repository.outbox import add_task, cancel_task, make_task_due
from imgproxy.files.repository.uploads import (
    delete_upload,
    end_upload_lease,
    insert_upload,
    transition_upload,
)
from imgproxy.image.source import Key

LEASE_MS = 300_000
"""Duration of a lease: after it, another caller may acquire the upload."""


@dataclass(frozen=True, slots=True)
class UploadLease:
    """Lease of an upload: the id and object key of the file to be, and the task that removes the object."""

    file_id: FileId
    object_key: Key
    removal: Task


def new_lease(ids: IdGenerator, tenant: TenantId, *, patience_ms: int = LEASE_MS) -> UploadLease:
    """Draw what one attempt needs; it must be over after `patience_ms`."""
    file_id = FileId(ids.id())
    object_key = ids.object_key(tenant, file_id)
    at = ids.clock() + 2 * patience_ms
    return UploadLease(file_id, object_key, outbox_tasks.delete_object(ids, tenant, object_key, at=at))


def is_available(upload: Upload, *, now: int) -> bool:
    """Return whether an upload is open, and not leased or leased for too long."""
    if upload.state is UploadState.COMPLETING:
        return upload.claimed_at is not None and upload.claimed_at < now - LEASE_MS
    return upload.state is UploadState.ISSUED


def acquire(connection: Connection, upload: Upload, lease: UploadLease, *, now: int) -> Upload:
    """Take an upload; raise `Conflict` if somebody else has it."""
    claimed = transition_upload(
        connection,
        upload.tenant,
        upload.id,
        from_states=(UploadState.ISSUED,),
        to=UploadState.COMPLETING,
        now=now,
        stale_before=now - LEASE_MS,
        file_id=lease.file_id,
    )
    if claimed is None:
        raise Conflict("this upload is being registered by somebody else just now")
    add_task(connection, lease.removal)
    return claimed


def commit(
    connection: Connection,
    upload: Upload,
    lease: UploadLease,
    file: File,
    *,
    to: UploadState,
    then: Iterable[Task],
) -> None:
    """Make the file be there, and promise what is left to do; raise `Conflict` if the hold was lost."""
    mine = end_upload_lease(connection, upload.tenant, upload.id, holder=lease.file_id, to=to)
    if not mine or not cancel_task(connection, lease.removal.id):
        raise Conflict("registering this upload took too long: try again")
    insert_file(connection, file)
    for task in then:
        add_task(connection, task)


def release(connection: Connection, upload: Upload, lease: UploadLease, *, over: bool, now: int) -> None:
    """Let others take an upload that did not become a file, if we still hold it.

    `over` says that storage does nothing more of what it was asked, so that the object can go now.
    """
    if (
        end_upload_lease(connection, upload.tenant, upload.id, holder=lease.file_id, to=UploadState.ISSUED)
        and over
    ):
        make_task_due(connection, lease.removal.id, now=now)


def insert_leased(
    connection: Connection, upload: Upload, lease: UploadLease, *, staged: Task | None = None
) -> None:
    """Add an upload that is leased from the start: no client ever writes to its key.

    What is staged there is promised to go when the hold would have ended, whatever becomes of the upload.
    """
    insert_upload(connection, upload)
    add_task(connection, lease.removal)
    if staged is not None:
        add_task(connection, staged)


def discard(connection: Connection, upload: Upload, lease: UploadLease, *, over: bool, now: int) -> None:
    """Forget an upload that only we knew of, if it has not become a file; see `give_back`."""
    if end_upload_lease(connection, upload.tenant, upload.id, holder=lease.file_id, to=UploadState.ABORTED):
        delete_upload(connection, upload.tenant, upload.id)
        if over:
            make_task_due(connection, lease.removal.id, now=now)
