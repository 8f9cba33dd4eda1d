"""Who holds an upload, and promises that are taken back, on both engines."""

from __future__ import annotations

from imgproxy.files.database import Connection, Database
from imgproxy.files.model import FileId, Upload, UploadState
from imgproxy.files.repository.claims import end_claim, hasten_task, take_back_task, upload_of_key
from imgproxy.files.repository.outbox import add_task, lease_tasks
from imgproxy.files.repository.uploads import insert_upload, upload_by_id
from imgproxy.image.source import Key
from tests.files import samples
from tests.files.samples import NOW, OTHER

MINE, THEIRS = FileId("1"), FileId("2")
HELD = samples.upload(state=UploadState.COMPLETING, file_id=MINE, claimed_at=NOW)


def end(record: Connection, upload: Upload, holder: FileId, to: UploadState) -> tuple[bool, Upload | None]:
    insert_upload(record, upload)
    ended = end_claim(record, upload.tenant, upload.id, holder=holder, to=to)
    return ended, upload_by_id(record, upload.tenant, upload.id)


async def test_whoever_holds_an_upload_ends_it(database: Database) -> None:
    ended, kept = await database.write(lambda record: end(record, HELD, MINE, UploadState.CONSUMED))
    assert kept is not None
    assert (ended, kept.state, kept.file_id, kept.claimed_at) == (True, UploadState.CONSUMED, MINE, None)


async def test_what_is_given_back_is_nobody_s_file(database: Database) -> None:
    ended, kept = await database.write(lambda record: end(record, HELD, MINE, UploadState.ISSUED))
    assert kept is not None
    assert (ended, kept.state, kept.file_id) == (True, UploadState.ISSUED, None)


async def test_who_does_not_hold_it_any_more_ends_nothing(database: Database) -> None:
    ended, kept = await database.write(lambda record: end(record, HELD, THEIRS, UploadState.ISSUED))
    assert (ended, kept) == (False, HELD)


async def test_what_has_ended_is_ended_once(database: Database) -> None:
    over = samples.upload(state=UploadState.CONSUMED, file_id=MINE)
    ended, kept = await database.write(lambda record: end(record, over, MINE, UploadState.ISSUED))
    assert (ended, kept) == (False, over)


async def test_a_promise_is_taken_back_once(database: Database) -> None:
    task = samples.task()

    def work(record: Connection) -> list[bool]:
        add_task(record, task)
        return [take_back_task(record, task.id) for _ in range(2)]

    assert await database.write(work) == [True, False]


async def test_a_promise_that_is_being_kept_is_not_taken_back(database: Database) -> None:
    task = samples.task()

    def work(record: Connection) -> bool:
        add_task(record, task)
        lease_tasks(record, now=NOW, lease_until=NOW + 1)
        return take_back_task(record, task.id)

    assert not await database.write(work)


async def test_a_promise_may_be_kept_sooner(database: Database) -> None:
    task = samples.task(not_before=NOW + 1000)

    def work(record: Connection) -> list[str]:
        add_task(record, task)
        assert lease_tasks(record, now=NOW, lease_until=NOW + 1) == []
        hasten_task(record, task.id, now=NOW)
        return [each.id for each in lease_tasks(record, now=NOW, lease_until=NOW + 1)]

    assert await database.write(work) == [task.id]


async def test_an_upload_is_found_by_its_key_whoever_s_it_is(database: Database) -> None:
    upload = samples.upload(tenant=OTHER)

    def work(record: Connection) -> list[Upload | None]:
        insert_upload(record, upload)
        return [upload_of_key(record, upload.key), upload_of_key(record, Key("images/none"))]

    assert await database.write(work) == [upload, None]
