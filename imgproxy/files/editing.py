"""Changing files: each change is one transaction, with the promises that it makes necessary.

What the edge must know of (visibility, deleted, restored, a share that has gone) raises the file's
generation; when a change returns, this process serves nothing older any more. Whoever else is in front is
told through the outbox. Of those who change one file at once each sees what the other did, and `check`
decides whether that is well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from imgproxy.errors import FileNotFound, ImgproxyError, InvalidRequest
from imgproxy.files import outbox_tasks
from imgproxy.files.collections import DEFAULTS
from imgproxy.files.database import Connection, Database
from imgproxy.files.fields import INPUTS, FileValues, stored
from imgproxy.files.finalize import Tell
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import File, FileId, FileState, Share, Task, Visibility
from imgproxy.files.policy import Action
from imgproxy.files.principal import Principal
from imgproxy.files.reading import find
from imgproxy.files.repository.files import replace_shares, shares_of, update_file
from imgproxy.files.repository.outbox import add_task
from imgproxy.files.repository.tenants import collection_by_name
from imgproxy.image.source import Key

MAX_METADATA_BYTES = 16 * 1024
"""Maximum of all metadata of a file, by one request or by many patches."""


def patched(file: File, patch: FileValues) -> File:
    """The file as it will be; raise `InvalidRequest` if its metadata would be too much."""
    values = {each.name: stored(each.name, patch[each.name]) for each in INPUTS if each.name in patch}
    if "metadata" in patch:
        values["metadata"] = _metadata(file, patch["metadata"])
    after = replace(file, **values)
    flipped = after.visibility is not file.visibility
    return replace(after, generation=file.generation + flipped)


def merged(target: Any, patch: Any) -> Any:
    """Return the target with a JSON merge patch applied (RFC 7396 §2)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _metadata(file: File, patch: Mapping[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = merged(file.metadata, patch) if patch is not None else {}
    if len(json.dumps(found, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"metadata: at most {MAX_METADATA_BYTES} bytes of JSON are expected in all")
    return found


Check = Callable[[File], None]
"""Raises `Changed` if the file is not what somebody thinks it is."""

_RETENTION = 30 * 24 * 3600
"""Seconds, for files of a collection that does not exist."""


def anything(_: File) -> None:
    """The check of who does not mind."""


class FileEditor:
    """Edits files for those who may; others get `AccessDenied` for what they see, else `FileNotFound`."""

    def __init__(self, *, database: Database, ids: IdGenerator, tell: Tell) -> None:
        self._database = database
        self._ids = ids
        self._tell = tell

    async def patch(
        self, principal: Principal, id_: FileId, patch: FileValues, *, check: Check = anything
    ) -> File:
        """Change fields; one that changes nothing counts as no change."""

        def change(connection: Connection, now: int) -> tuple[File, File]:
            before = find(connection, principal, Action.PATCH, id_, now=now, lock=True)
            check(before)
            return before, patched(before, patch)

        return await self._change(principal, change)

    async def delete(self, principal: Principal, id_: FileId, *, check: Check = anything) -> None:
        """Take a file away until its retention ends, and then for good; one that is deleted is deleted."""

        def change(connection: Connection, now: int) -> tuple[File, File]:
            before = find(connection, principal, Action.DELETE, id_, now=now, lock=True)
            if before.state is FileState.DELETED:
                return before, before
            check(before)
            return before, _deleted(before, now, _retention(connection, before))

        await self._change(principal, change)

    async def restore(self, principal: Principal, id_: FileId) -> File:
        """Bring a deleted file back as it was; raise `FileNotFound` when its retention has ended."""

        def change(connection: Connection, now: int) -> tuple[File, File]:
            before = find(connection, principal, Action.DELETE, id_, now=now, lock=True)
            return before, before if before.state is FileState.READY else _restored(before, now)

        return await self._change(principal, change)

    async def share(self, principal: Principal, id_: FileId, shares: Iterable[Share]) -> tuple[Share, ...]:
        """Replace the shares of a file; they count while it is `shared`."""
        wanted = tuple(shares)
        return await self._share(principal, id_, lambda _: wanted)

    async def unshare(
        self, principal: Principal, id_: FileId, goes: Callable[[Share], bool] = lambda _: True
    ) -> tuple[Share, ...]:
        """Take shares away; return those that stay."""
        return await self._share(
            principal, id_, lambda shares: tuple(share for share in shares if not goes(share))
        )

    async def _share(
        self,
        principal: Principal,
        id_: FileId,
        change: Callable[[tuple[Share, ...]], tuple[Share, ...]],
    ) -> tuple[Share, ...]:
        now = self._ids.clock()

        def work(connection: Connection) -> tuple[File, File, tuple[Share, ...]]:
            file = find(connection, principal, Action.SHARE, id_, now=now, lock=True)
            before = shares_of(connection, file.tenant, file.id)
            replace_shares(connection, file.tenant, file.id, change(before))
            shares = shares_of(connection, file.tenant, file.id)
            if file.visibility is not Visibility.SHARED or not set(before) - set(shares):
                return file, file, shares
            ended = replace(file, generation=file.generation + 1, updated_at=now)  # so do URLs of downloads
            return file, update_file(connection, file, ended), shares

        before, after, shares = await self._database.write(work)
        await self._told(before, after)
        return shares

    async def _change(
        self, principal: Principal, change: Callable[[Connection, int], tuple[File, File]]
    ) -> File:
        now = self._ids.clock()
        purge = outbox_tasks.forget_in_front(self._ids, principal.tenant, Key(""))
        work = partial(_write, change=change, purge=purge, now=now)
        before, after = await self._database.write(work)
        await self._told(before, after)
        return after

    async def _told(self, before: File, after: File) -> None:
        if after.generation != before.generation or after.state is FileState.DELETED:
            with suppress(ImgproxyError):  # it is done, whoever could not be told; edges look for themselves
                await self._tell(after.key)


def _write(
    connection: Connection,
    *,
    change: Callable[[Connection, int], tuple[File, File]],
    purge: Task,
    now: int,
) -> tuple[File, File]:
    before, after = change(connection, now)
    if after == before:
        return before, before
    after = update_file(connection, before, replace(after, updated_at=now))
    if after.generation != before.generation:
        add_task(connection, replace(purge, payload={"key": after.key}))
    return before, after


def _deleted(file: File, now: int, retention: int) -> File:
    return replace(
        file,
        state=FileState.DELETED,
        generation=file.generation + 1,
        deleted_at=now,
        purge_after=now + retention * 1000,
    )


def _restored(file: File, now: int) -> File:
    if file.purge_after is None or file.purge_after <= now:
        raise FileNotFound("there is no such file: its retention has ended")
    return replace(
        file,
        state=FileState.READY,
        generation=file.generation + 1,
        deleted_at=None,
        purge_after=None,
    )


def _retention(connection: Connection, file: File) -> int:
    """Seconds for which a file can be restored."""
    own = collection_by_name(connection, file.tenant, file.collection)
    collection = own or DEFAULTS.get(file.collection)
    return collection.retention if collection is not None else _RETENTION
