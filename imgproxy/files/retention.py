"""Retention: purge deleted files, expire uploads, and remove stored responses.

A file's row says that it is purged before any of its bytes go, so that it can be restored or purged and never
half of both. All processes may do this at once: each row is one's who finds it as it expects it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial

from imgproxy.errors import ImgproxyError
from imgproxy.files import outbox_tasks
from imgproxy.files.database import Connection, Database
from imgproxy.files.fields import purged_values
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import File, FileState, Task, Upload, UploadState
from imgproxy.files.repository.files import files_to_purge, lock_file, remove_shares, update_file
from imgproxy.files.repository.idempotency import delete_expired_requests
from imgproxy.files.repository.outbox import add_task
from imgproxy.files.repository.uploads import expired_uploads, transition_upload
from imgproxy.files.upload_lease import LEASE_MS

_log = logging.getLogger(__name__)

GRACE_MS = 24 * 3600 * 1000
"""Time after its last URL in which an upload can be registered: a long PUT may have begun just before."""
_EVERY_SECONDS = 60.0
_BATCH = 100


class Retention:
    """Looks every minute."""

    def __init__(
        self,
        database: Database,
        *,
        ids: IdGenerator,
        rescue: Callable[[Upload], Awaitable[bool]] | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`rescue` auto-registers an upload before it expires; `wake` wakes the outbox."""
        self._database = database
        self._ids = ids
        self._rescue = rescue
        self._wake = wake
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, in the running loop."""
        self._loop = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop; what was half done is undone, and done another time."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def round(self) -> None:
        """Do all that is due now."""
        await self.purge_files()
        await self.expire_uploads()
        now = self._ids.clock()
        await self._database.write(lambda connection: delete_expired_requests(connection, now=now))

    async def purge_files(self) -> int:
        """Have the bytes go of files whose retention has ended; return how many that were."""
        now, last, purged = self._ids.clock(), None, 0
        while due := await self._database.read(partial(_due_files, now=now, after=last)):
            gone = [
                (file, outbox_tasks.delete_object(self._ids, file.tenant, file.object_key, at=now))
                for file in due
            ]
            purged += await self._database.write(partial(_purge, gone=gone, now=now))
            last = due[-1]
            self._wake()
        return purged

    async def expire_uploads(self) -> int:
        """Expire uploads that were not registered in time; return their number."""
        now, last, ended = self._ids.clock(), None, 0
        while due := await self._database.read(partial(_due_uploads, before=now - GRACE_MS, after=last)):
            for upload in due:
                ended += await self._expire(upload, now)
            last = due[-1]
            self._wake()
        return ended

    async def _expire(self, upload: Upload, now: int) -> bool:
        if self._rescue is not None and await self._is_rescued(upload, self._rescue):
            return False
        tasks = (
            *outbox_tasks.abort_parts(self._ids, upload),
            *outbox_tasks.clear_staging(self._ids, upload),
        )
        return await self._database.write(partial(_expire, upload=upload, tasks=tasks, now=now))

    async def _is_rescued(self, upload: Upload, rescue: Callable[[Upload], Awaitable[bool]]) -> bool:
        try:
            return await rescue(upload)
        except ImgproxyError as error:
            _log.warning("upload %s waits, for it could not be looked at: %s", upload.id, error)
            return True

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except ImgproxyError as error:
                _log.warning("what is due could not be done: %s", error)
            except Exception:
                _log.exception("a defect in the round of retention")
            await asyncio.sleep(_EVERY_SECONDS)


def _due_files(connection: Connection, *, now: int, after: File | None) -> list[File]:
    return files_to_purge(connection, now=now, after=after, limit=_BATCH)


def _due_uploads(connection: Connection, *, before: int, after: Upload | None) -> list[Upload]:
    return expired_uploads(connection, before=before, after=after, limit=_BATCH)


def _purge(connection: Connection, *, gone: Iterable[tuple[File, Task]], now: int) -> int:
    purged = 0
    for seen, task in gone:
        file = lock_file(connection, seen.tenant, seen.id)
        if file is None or file.state is not FileState.DELETED or (file.purge_after or 0) > now:
            continue  # restored, or another process's
        update_file(connection, file, _tombstone(file, now))
        remove_shares(connection, file.tenant, file.id)
        add_task(connection, task)
        purged += 1
    return purged


def _tombstone(file: File, now: int) -> File:
    """Return the tombstone of a file, so that neither its id nor its key is used again."""
    return replace(file, state=FileState.PURGED, updated_at=now, purge_after=None, **purged_values())


def _expire(connection: Connection, *, upload: Upload, tasks: Iterable[Task], now: int) -> bool:
    expired = transition_upload(
        connection,
        upload.tenant,
        upload.id,
        from_states=(UploadState.ISSUED,),
        to=UploadState.EXPIRED,
        now=now,
        stale_before=now - LEASE_MS,
    )
    if expired is None:
        return False
    for task in tasks:
        add_task(connection, task)
    return True
