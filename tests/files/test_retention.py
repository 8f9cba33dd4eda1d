"""What time alone brings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from imgproxy.errors import StorageFailed, UploadExpired
from imgproxy.files.database import Connection
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import FileState, Share, Upload, UploadState, Visibility
from imgproxy.files.repository.files import shares_of
from imgproxy.files.repository.idempotency import begin_request
from imgproxy.files.repository.uploads import set_storage_upload
from imgproxy.files.retention import GRACE_MS, Retention
from imgproxy.files.upload_lease import LEASE_MS, acquire, new_lease
from tests.files.keeping import Keeping, until, writable_once
from tests.files.uploading import ACME, ANN, BOB, NOW, TTL, Clock, bytes_of

MONTH = 30 * 24 * 3600 * 1000
ENDS = NOW + TTL * 1000
"""When the URL of an upload that is issued now ends."""


async def test_bytes_go_when_retention_has_ended_and_not_before(keeping: Keeping) -> None:
    file = await keeping.deleted()
    keeping.desk.clock.now = NOW + MONTH - 1
    await keeping.retention.round()
    await keeping.outbox.drain()
    assert await keeping.desk.exists(file.object_key)
    keeping.desk.clock.now += 1
    await keeping.retention.round()
    assert await keeping.desk.exists(file.object_key)  # the record says so first
    assert (await keeping.now(file)).state is FileState.PURGED
    await keeping.outbox.drain()
    assert not await keeping.desk.exists(file.object_key)


async def test_a_purge_and_its_promise_are_one_write(one: Keeping) -> None:
    file = await one.deleted()
    one.desk.clock.now += MONTH
    assert await Retention(writable_once(one.desk.database), ids=one.ids).purge_files() == 1
    assert {"key": file.object_key} in [task.payload for task in await one.tasks("delete")]


async def test_the_end_of_an_upload_and_its_promise_are_one_write(one: Keeping) -> None:
    upload = await one.desk.uploaded()
    one.desk.clock.now = ENDS + GRACE_MS + 1
    assert await Retention(writable_once(one.desk.database), ids=one.ids).expire_uploads() == 1
    assert [task.payload for task in await one.tasks("delete")] == [{"key": upload.staging_key}]


async def test_what_is_ready_is_never_purged(keeping: Keeping) -> None:
    file = await keeping.file()
    keeping.desk.clock.now += 100 * MONTH
    await keeping.retention.round()
    await keeping.outbox.drain()
    assert await keeping.now(file) == file
    assert await keeping.desk.exists(file.object_key)


async def test_of_a_purged_file_a_tombstone_stays(one: Keeping) -> None:
    file = await one.file(alt="a cat", metadata={"a": 1}, tags=("cat",))
    await one.changes.share(ANN, file.id, [Share("user", "bob")])
    await one.changes.delete(ANN, file.id)
    one.desk.clock.now += MONTH
    await one.retention.purge_files()
    stone = await one.now(file)
    assert (stone.key, stone.alt, dict(stone.metadata), stone.tags) == (file.key, None, {}, ())
    assert (stone.purge_after, stone.deleted_at) == (None, NOW)
    assert await one.desk.database.read(lambda record: shares_of(record, ACME, file.id)) == ()


async def test_processes_that_purge_at_once_promise_once(keeping: Keeping) -> None:
    for _ in range(5):
        await keeping.deleted()
    keeping.desk.clock.now += MONTH
    purged = await asyncio.gather(*(keeping.retention.purge_files() for _ in range(4)))
    assert sum(purged) == 5
    objects = [task.payload["key"] for task in await keeping.tasks("delete")]
    assert len([key for key in objects if key.startswith("files/")]) == 5


async def test_more_than_a_batch_is_purged_in_one_round(one: Keeping) -> None:
    from imgproxy.files import retention  # a batch is a hundred, which takes a while to make

    before, retention._BATCH = retention._BATCH, 2
    try:
        for _ in range(5):
            await one.deleted()
        one.desk.clock.now += MONTH
        assert await one.retention.purge_files() == 5
    finally:
        retention._BATCH = before


async def test_an_upload_that_never_came_ends_a_day_after_its_url(keeping: Keeping) -> None:
    upload = await keeping.desk.uploaded()
    keeping.desk.clock.now = ENDS + GRACE_MS
    await keeping.retention.round()
    assert await keeping.desk.upload(upload) == upload
    keeping.desk.clock.now += 1
    await keeping.retention.round()
    await keeping.outbox.drain()
    ended = await keeping.desk.upload(upload)
    assert ended is not None
    assert ended.state is UploadState.EXPIRED
    assert not await keeping.desk.exists(upload.staging_key)
    with pytest.raises(UploadExpired):
        await keeping.desk.register(upload)


async def test_parts_of_an_upload_that_ends_are_thrown_away(keeping: Keeping) -> None:
    storage = keeping.desk.storage
    upload = await keeping.desk.issue()
    begun = await storage.multipart.begin(upload.staging_key)
    await keeping.desk.database.write(
        lambda record: set_storage_upload(record, upload.tenant, upload.id, begun)
    )
    keeping.desk.clock.now = ENDS + GRACE_MS + 1
    await keeping.retention.round()
    await keeping.outbox.drain()
    assert [each async for each in storage.multipart.list()] == []


async def held(keeping: Keeping, now: int) -> Upload:
    """An upload that somebody began to complete at a time, and then was not there any more."""
    upload = await keeping.desk.uploaded()
    lease = new_lease(keeping.ids, upload.tenant)
    return await keeping.desk.database.write(lambda record: acquire(record, upload, lease, now=now))


async def test_what_is_being_registered_does_not_end(keeping: Keeping) -> None:
    keeping.desk.clock.now = NOW
    end = ENDS + GRACE_MS + 1
    upload = await held(keeping, end - LEASE_MS)
    keeping.desk.clock.now = end
    assert await keeping.retention.expire_uploads() == 0
    keeping.desk.clock.now = end + 1
    assert await keeping.retention.expire_uploads() == 1
    ended = await keeping.desk.upload(upload)
    assert ended is not None
    assert ended.state is UploadState.EXPIRED


async def test_registering_and_ending_at_once_is_one_of_both(keeping: Keeping) -> None:
    upload = await keeping.desk.uploaded()
    keeping.desk.clock.now = ENDS + GRACE_MS + 1
    registered, _ = await asyncio.gather(
        keeping.desk.register(upload), keeping.retention.expire_uploads(), return_exceptions=True
    )
    await keeping.desk.settle()
    after = await keeping.desk.upload(upload)
    assert after is not None
    if isinstance(registered, BaseException):
        assert isinstance(registered, UploadExpired)
        assert after.state is UploadState.EXPIRED
        assert await keeping.desk.stored() == []
    else:
        assert after.state is UploadState.CONSUMED
        assert await keeping.desk.stored() == [registered.object_key]


async def test_what_is_published_unasked_is_before_its_upload_ends(one: Keeping) -> None:
    upload = await one.desk.uploaded(visibility=Visibility.PUBLIC)

    async def publish(due: Upload) -> bool:
        return await one.desk.publisher.publish(due.key)

    retention = Retention(one.desk.database, ids=one.ids, rescue=publish)
    one.desk.clock.now = ENDS + GRACE_MS + 1
    assert await retention.expire_uploads() == 0
    file = await one.desk.file(upload.key)
    assert file is not None
    assert file.state is FileState.READY


async def test_what_cannot_be_looked_at_waits_and_keeps_nobody_waiting(one: Keeping) -> None:
    first, second = await one.desk.uploaded(), await one.desk.uploaded()

    async def publish(due: Upload) -> bool:
        if due.id == first.id:
            raise StorageFailed("the storage is on fire")
        return False

    retention = Retention(one.desk.database, ids=one.ids, rescue=publish)
    one.desk.clock.now = ENDS + GRACE_MS + 1
    assert await retention.expire_uploads() == 1
    found = await one.desk.upload(second)
    assert found is not None
    assert found.state is UploadState.EXPIRED


async def test_answers_that_were_kept_for_their_time_are_forgotten(keeping: Keeping) -> None:
    def ask(record: Connection) -> object:
        return begin_request(
            record, ACME, BOB.name, "once", request_sha256=b"1", now=NOW - 1, expires_at=NOW + 5
        )

    assert await keeping.desk.database.write(ask) is None
    keeping.desk.clock.now = NOW + 4
    await keeping.retention.round()
    assert await keeping.desk.database.write(ask) is not None
    keeping.desk.clock.now = NOW + 5
    await keeping.retention.round()
    assert await keeping.desk.database.write(ask) is None


async def test_it_looks_by_itself(one: Keeping) -> None:
    woken: list[bool] = []
    await one.deleted()
    one.desk.clock.now += MONTH
    retention = Retention(one.desk.database, ids=one.ids, wake=lambda: woken.append(True))
    retention.start()
    await until(lambda: woken)
    await retention.close()
    assert await one.tasks("delete")


async def test_staging_is_cleared_of_what_a_late_put_left(one: Keeping) -> None:
    upload = await one.desk.uploaded()
    await one.desk.register(upload)
    await one.outbox.drain()
    await one.desk.storage.put(upload.staging_key, bytes_of(b"late"))
    one.desk.clock.now = ENDS + 60_000
    await one.outbox.drain()
    assert not await one.desk.exists(upload.staging_key)


class Between:
    """A record in which something happens between a read and the next write."""

    def __init__(self, database: Any, happen: Callable[[], Awaitable[None]]) -> None:
        self.read = database.read
        self._database = database
        self._happen = happen

    async def write(self, work: Any) -> Any:
        await self._happen()
        return await self._database.write(work)


@pytest.mark.parametrize("again", [False, True])
async def test_what_was_restored_meanwhile_is_not_purged(keeping: Keeping, again: bool) -> None:
    file = await keeping.deleted()
    keeping.desk.clock.now = NOW + MONTH - 1

    async def restore() -> None:
        await keeping.changes.restore(ANN, file.id)
        if again:
            await keeping.changes.delete(ANN, file.id)

    ahead = IdGenerator(Clock(NOW + MONTH), keeping.ids.entropy)  # another machine's clock
    retention = Retention(Between(keeping.desk.database, restore), ids=ahead)  # type: ignore[arg-type]
    assert await retention.purge_files() == 0
    state = FileState.DELETED if again else FileState.READY
    assert (await keeping.now(file)).state is state
    removals = [task.payload["key"] for task in await keeping.tasks("delete")]
    assert file.object_key not in removals
