"""What freezing an upload needs of the record beside its states: who holds it, and promises taken back."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update

from imgproxy.files.model import FileId, TenantId, Upload, UploadId, UploadState
from imgproxy.files.repository import rows
from imgproxy.files.tables import outbox, uploads
from imgproxy.image.source import Key


def upload_of_key(connection: Connection, key: Key) -> Upload | None:
    """The upload of a key, of whatever tenant: for the edge, which knows no tenant."""
    found = connection.execute(select(uploads).where(uploads.c.key == key)).one_or_none()
    return rows.upload(found) if found else None


def end_claim(
    connection: Connection, tenant: TenantId, id_: UploadId, *, holder: FileId, to: UploadState
) -> bool:
    """Move on an upload that is being completed as the file `holder`; return whether it still was.

    Who has been given up for dead meanwhile does not hold it any more: each claim names a file of its own.
    """
    held = (uploads.c.state == UploadState.COMPLETING) & (uploads.c.file_id == holder)
    given_back = {"file_id": None} if to is UploadState.ISSUED else {}
    changed = connection.execute(
        update(uploads)
        .where(uploads.c.id == id_, uploads.c.tenant_id == tenant, held)
        .values(state=to, claimed_at=None, **given_back)
    )
    return changed.rowcount == 1


def take_back_task(connection: Connection, id_: str) -> bool:
    """Forget a promise that nobody has begun to keep; return whether it could be taken back."""
    gone = connection.execute(delete(outbox).where(outbox.c.id == id_, outbox.c.attempts == 0))
    return gone.rowcount == 1


def hasten_task(connection: Connection, id_: str, *, now: int) -> None:
    """Have a promise kept now."""
    connection.execute(update(outbox).where(outbox.c.id == id_).values(not_before=now))
