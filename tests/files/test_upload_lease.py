"""Who holds an upload makes its file, and nobody else; what he promised is kept unless he did."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from imgproxy.errors import Conflict
from imgproxy.files.database import Connection, Database
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import File, Task, Upload, UploadState
from imgproxy.files.repository.files import file_by_key
from imgproxy.files.repository.outbox import lease_tasks, list_tasks
from imgproxy.files.repository.uploads import insert_upload, upload_by_id
from imgproxy.files.upload_lease import (
    LEASE_MS,
    UploadLease,
    acquire,
    commit,
    discard,
    insert_leased,
    new_lease,
    release,
)
from tests.files import samples
from tests.files.samples import ACME, NOW

NAMES = IdGenerator(lambda: NOW, os.urandom)
UPLOAD, MINE, THEIRS = samples.upload(), new_lease(NAMES, ACME), new_lease(NAMES, ACME)
FILE = samples.file(id=MINE.file_id, key=UPLOAD.key, object_key=MINE.object_key)
MORE = samples.task()


def held(record: Connection, lease: UploadLease = MINE, *, now: int = NOW) -> Upload:
    """An upload that somebody has claimed."""
    insert_upload(record, UPLOAD)
    return acquire(record, UPLOAD, lease, now=now)


def made(record: Connection, lease: UploadLease = MINE) -> None:
    commit(record, UPLOAD, lease, FILE, to=UploadState.CONSUMED, then=[MORE])


def kept(record: Connection) -> Upload | None:
    return upload_by_id(record, ACME, UPLOAD.id)


def promised(record: Connection) -> dict[str, int]:
    """When which promise is to be kept."""
    return {task.id: task.not_before for task in list_tasks(record, ACME)}


async def test_who_claims_an_upload_has_it_and_has_promised_what_his_try_leaves(database: Database) -> None:
    def work(record: Connection) -> tuple[Upload, list[Task]]:
        return held(record), list_tasks(record, ACME)

    upload, tasks = await database.write(work)
    completing = {"state": UploadState.COMPLETING, "file_id": MINE.file_id, "claimed_at": NOW}
    assert (upload, tasks) == (replace(UPLOAD, **completing), [MINE.removal])


@pytest.mark.parametrize("later", [0, LEASE_MS])
async def test_nobody_else_gets_it_meanwhile_nor_promises_anything(database: Database, later: int) -> None:
    def work(record: Connection) -> dict[str, int]:
        held(record)
        with pytest.raises(Conflict):
            acquire(record, UPLOAD, THEIRS, now=NOW + later)
        return promised(record)

    assert await database.write(work) == {MINE.removal.id: MINE.removal.not_before}


async def test_who_has_been_at_it_for_too_long_is_taken_for_dead(database: Database) -> None:
    def work(record: Connection) -> Upload:
        held(record)
        return acquire(record, UPLOAD, THEIRS, now=NOW + LEASE_MS + 1)

    assert (await database.write(work)).file_id == THEIRS.file_id


@pytest.mark.parametrize("state", [each for each in UploadState if each is not UploadState.ISSUED])
async def test_what_is_not_open_is_claimed_by_nobody(database: Database, state: UploadState) -> None:
    def work(record: Connection) -> dict[str, int]:
        insert_upload(record, replace(UPLOAD, state=state))
        with pytest.raises(Conflict):
            acquire(record, UPLOAD, MINE, now=NOW)
        return promised(record)

    assert await database.write(work) == {}


async def test_publishing_makes_the_file_ends_the_upload_and_takes_the_promise_back(
    database: Database,
) -> None:
    def work(record: Connection) -> tuple[File | None, Upload | None, list[Task]]:
        held(record)
        made(record)
        return file_by_key(record, UPLOAD.key), kept(record), list_tasks(record, ACME)

    ended = replace(UPLOAD, state=UploadState.CONSUMED, file_id=MINE.file_id)
    assert await database.write(work) == (FILE, ended, [MORE])


async def test_who_was_taken_for_dead_makes_no_file(database: Database) -> None:
    def work(record: Connection) -> tuple[File | None, Upload | None]:
        held(record)
        theirs = acquire(record, UPLOAD, THEIRS, now=NOW + LEASE_MS + 1)
        with pytest.raises(Conflict, match="too long"):
            made(record)
        assert kept(record) == theirs
        return file_by_key(record, UPLOAD.key), kept(record)

    file, upload = await database.write(work)
    assert (file, upload and upload.file_id) == (None, THEIRS.file_id)


async def test_who_comes_when_his_promise_is_being_kept_makes_no_file(database: Database) -> None:
    def work(record: Connection) -> File | None:
        held(record)
        lease_tasks(record, now=MINE.removal.not_before, lease_until=MINE.removal.not_before + 1)
        with pytest.raises(Conflict, match="too long"):
            made(record)
        return file_by_key(record, UPLOAD.key)

    assert await database.write(work) is None


async def test_a_file_is_made_once(database: Database) -> None:
    def work(record: Connection) -> None:
        held(record)
        made(record)
        with pytest.raises(Conflict):
            made(record)

    await database.write(work)


@pytest.mark.parametrize(("over", "due"), [(True, NOW + 5), (False, MINE.removal.not_before)])
async def test_what_is_given_back_is_open_and_its_object_goes_once_nothing_writes_it(
    database: Database, over: bool, due: int
) -> None:
    def work(record: Connection) -> tuple[Upload | None, dict[str, int]]:
        held(record)
        release(record, UPLOAD, MINE, over=over, now=NOW + 5)
        return kept(record), promised(record)

    assert await database.write(work) == (UPLOAD, {MINE.removal.id: due})


async def test_what_was_given_back_can_be_claimed_at_once(database: Database) -> None:
    def work(record: Connection) -> Upload:
        held(record)
        release(record, UPLOAD, MINE, over=True, now=NOW)
        return acquire(record, UPLOAD, THEIRS, now=NOW)

    assert (await database.write(work)).file_id == THEIRS.file_id


async def test_what_somebody_else_holds_now_is_not_given_back_nor_its_object_hastened(
    database: Database,
) -> None:
    def work(record: Connection) -> tuple[Upload, Upload | None, dict[str, int]]:
        held(record)
        theirs = acquire(record, UPLOAD, THEIRS, now=NOW + LEASE_MS + 1)
        release(record, UPLOAD, MINE, over=True, now=NOW)
        return theirs, kept(record), promised(record)

    theirs, found, due = await database.write(work)
    assert found == theirs
    assert due == {lease.removal.id: lease.removal.not_before for lease in (MINE, THEIRS)}


async def test_what_has_become_a_file_is_not_given_back(database: Database) -> None:
    def work(record: Connection) -> UploadState | None:
        held(record)
        made(record)
        release(record, UPLOAD, MINE, over=True, now=NOW)
        found = kept(record)
        return found and found.state

    assert await database.write(work) is UploadState.CONSUMED


STREAMED = replace(UPLOAD, state=UploadState.COMPLETING, file_id=MINE.file_id, claimed_at=NOW)


@pytest.mark.parametrize(("over", "due"), [(True, NOW + 5), (False, MINE.removal.not_before)])
async def test_what_only_we_knew_of_is_forgotten_and_its_object_is_not(
    database: Database, over: bool, due: int
) -> None:
    def work(record: Connection) -> tuple[Upload | None, Upload | None, dict[str, int]]:
        insert_leased(record, STREAMED, MINE)
        before = kept(record)
        discard(record, UPLOAD, MINE, over=over, now=NOW + 5)
        return before, kept(record), promised(record)

    assert await database.write(work) == (STREAMED, None, {MINE.removal.id: due})


async def test_what_has_become_a_file_is_not_forgotten(database: Database) -> None:
    def work(record: Connection) -> tuple[UploadState | None, dict[str, int]]:
        insert_leased(record, STREAMED, MINE)
        made(record)
        discard(record, UPLOAD, MINE, over=True, now=NOW)
        found = kept(record)
        return found and found.state, promised(record)

    assert await database.write(work) == (UploadState.CONSUMED, {MORE.id: MORE.not_before})


@pytest.mark.parametrize("patience", [LEASE_MS, 3_600_000])
def test_a_try_is_over_long_before_its_object_is_removed(patience: int) -> None:
    lease = new_lease(NAMES, ACME, patience_ms=patience)
    assert lease.removal.not_before == NOW + 2 * patience
    assert (lease.removal.kind, lease.removal.payload) == ("delete", {"key": lease.object_key})


def test_no_two_tries_write_to_one_place() -> None:
    assert MINE.object_key != THEIRS.object_key
    assert MINE.file_id != THEIRS.file_id
