"""What nobody registers is published, if it is public by every word there is of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from imgproxy.errors import FileTooLarge, KeyExists, StorageFailed
from imgproxy.files.database import Database
from imgproxy.files.editing import FileEditor
from imgproxy.files.model import FileState, UploadState, Visibility
from imgproxy.files.repository.outbox import list_tasks
from imgproxy.files.upload_lease import LEASE_MS, acquire, new_lease
from imgproxy.image.source import Key
from tests.files.uploading import ANN, JPEG, OTHER_JPEG, TEXT, Desk
from tests.storage.broken import BrokenStorage


async def test_a_public_upload_is_published_once_its_bytes_are_there(desk: Desk) -> None:
    upload = await desk.issue()
    assert not await desk.publisher.publish(upload.key)
    await desk.put(upload.staging_key)
    assert await desk.publisher.publish(upload.key)
    file = await desk.file(upload.key)
    assert file is not None
    assert (file.state, file.visibility, file.original_name) == (
        FileState.READY,
        Visibility.PUBLIC,
        "cat.jpg",
    )
    assert (file.width, file.owner, desk.told) == (40, upload.owner, [upload.key])
    await desk.settle()
    assert await desk.stored() == [file.object_key]


async def test_it_is_published_when_it_arrives(here: Desk) -> None:
    upload = await here.uploaded()
    assert await here.publisher.arrived(upload.staging_key)
    assert await here.file(upload.key) is not None


async def test_what_is_put_after_it_was_published_changes_nothing(here: Desk) -> None:
    upload = await here.uploaded()
    await here.publisher.publish(upload.key)
    await here.put(upload.staging_key, OTHER_JPEG)
    assert await here.publisher.publish(upload.key)
    file = await here.file(upload.key)
    assert file is not None
    assert await here.body(file.object_key) == JPEG


@pytest.mark.parametrize("visibility", [Visibility.PRIVATE, Visibility.PROTECTED, Visibility.SHARED])
async def test_what_is_not_public_is_not_published(here: Desk, visibility: Visibility) -> None:
    upload = await here.uploaded(visibility=visibility)
    assert not await here.publisher.publish(upload.key)
    assert await here.file(upload.key) is None


async def test_nothing_is_published_of_a_collection_that_is_not_public(here: Desk) -> None:
    upload = await here.uploaded(category="attachments", visibility=Visibility.PUBLIC)
    assert not await here.publisher.publish(upload.key)


async def test_an_unknown_key_is_not_published(here: Desk) -> None:
    assert not await here.publisher.publish(Key("images/nothing/cat.jpg"))
    assert not await here.publisher.arrived(Key("staging/acme/nothing"))


async def test_all_who_ask_at_once_have_it_published_once(desk: Desk) -> None:
    upload = await desk.uploaded()
    assert all(await asyncio.gather(*(desk.publisher.publish(upload.key) for _ in range(8))))
    assert len(desk.measure.seen) == 1


async def test_who_leaves_does_not_end_it_for_the_others(here: Desk) -> None:
    upload = await here.uploaded()
    first = asyncio.create_task(here.publisher.publish(upload.key))
    second = asyncio.create_task(here.publisher.publish(upload.key))
    await asyncio.sleep(0)
    first.cancel()
    assert await second


async def test_a_lie_is_not_published_nor_looked_at_again_until_other_bytes_come(here: Desk) -> None:
    upload = await here.uploaded(TEXT)
    assert not await here.publisher.publish(upload.key)
    await here.drain()
    assert not await here.publisher.publish(upload.key)
    assert await here.drain() == []
    await here.put(upload.staging_key)
    assert await here.publisher.publish(upload.key)


@pytest.mark.parametrize("wish", [{"size": len(JPEG) + 1}, {"size": 1}, {"mime_type": "image/png"}])
async def test_what_is_not_what_its_upload_said_is_not_published(here: Desk, wish: dict[str, Any]) -> None:
    upload = await here.uploaded(**wish)
    assert not await here.publisher.publish(upload.key)
    assert await here.file(upload.key) is None


async def test_a_refusal_is_forgotten_after_a_minute(here: Desk) -> None:
    upload = await here.uploaded(TEXT)
    await here.publisher.publish(upload.key)
    await here.drain()
    here.clock.now += 60_000
    await here.publisher.publish(upload.key)
    assert len(await here.drain()) == 1


async def test_storage_that_fails_is_said_and_asked_again(database: Database) -> None:
    storage = BrokenStorage(only=("copy",))
    desk = Desk(database, storage)
    upload = await desk.uploaded()
    with pytest.raises(StorageFailed):
        await desk.publisher.publish(upload.key)
    storage.error = None
    assert await desk.publisher.publish(upload.key)


async def test_what_was_published_can_be_registered_once(desk: Desk) -> None:
    upload = await desk.uploaded()
    await desk.publisher.publish(upload.key)
    file = await desk.register(upload, alt="a cat", tags=("cat",))
    assert (file.alt, file.tags, file.row_version, file.generation) == ("a cat", ("cat",), 2, 1)
    assert await desk.file(upload.key) == file
    with pytest.raises(KeyExists):
        await desk.register(upload)
    kept = await desk.upload(upload)
    assert kept is not None
    assert kept.state is UploadState.CONSUMED


async def test_what_was_published_and_deleted_is_not_brought_back_by_registering(here: Desk) -> None:
    upload = await here.uploaded()
    await here.publisher.publish(upload.key)
    published = await here.file(upload.key)
    assert published is not None
    await FileEditor(database=here.database, ids=here.ids, tell=here.tell).delete(ANN, published.id)
    deleted = await here.file(upload.key)
    with pytest.raises(KeyExists):
        await here.register(upload)
    assert await here.file(upload.key) == deleted


async def test_registering_what_was_published_may_take_it_private(here: Desk) -> None:
    upload = await here.uploaded()
    await here.publisher.publish(upload.key)
    file = await here.register(upload, visibility=Visibility.PRIVATE)
    assert (file.visibility, file.generation) == (Visibility.PRIVATE, 2)
    assert here.told == [upload.key, upload.key]
    tasks = await here.database.read(lambda record: list_tasks(record, upload.tenant))
    assert [task.payload for task in tasks if task.kind == "purge"] == [{"key": upload.key}]


async def test_registering_leaves_what_was_changed_since_it_was_published(here: Desk) -> None:
    upload = await here.uploaded()
    await here.publisher.publish(upload.key)
    published = await here.file(upload.key)
    assert published is not None
    changes = FileEditor(database=here.database, ids=here.ids, tell=here.tell)
    given = {
        "visibility": Visibility.PRIVATE,
        "tags": ["cat"],
        "metadata": {"a": 1},
        "description": "a cat",
        "alt": "cat",
        "relatedEntityId": "7",
    }
    changed = await changes.patch(ANN, published.id, given)
    file = await here.register(upload)
    assert file == replace(changed, row_version=3, updated_at=file.updated_at)


async def test_who_registers_what_is_changed_meanwhile_is_not_refused(desk: Desk) -> None:
    upload = await desk.uploaded()
    await desk.publisher.publish(upload.key)
    published = await desk.file(upload.key)
    assert published is not None
    changes = FileEditor(database=desk.database, ids=desk.ids, tell=desk.tell)
    await asyncio.gather(
        *(changes.patch(ANN, published.id, {"tags": [f"cat {number}"]}) for number in range(8)),
        desk.register(upload, alt="a cat"),
    )
    file = await desk.file(upload.key)
    assert file is not None
    assert (file.alt, len(file.tags), file.row_version) == ("a cat", 1, 10)


async def test_a_lie_about_what_was_published_is_refused_and_can_be_mended(here: Desk) -> None:
    upload = await here.uploaded()
    await here.publisher.publish(upload.key)
    with pytest.raises(FileTooLarge):
        await here.register(upload, size=1)
    assert (await here.register(upload)).size == len(JPEG)


async def test_registering_and_publishing_at_once_make_one_file(desk: Desk) -> None:
    upload = await desk.uploaded()
    await asyncio.gather(desk.register(upload), desk.publisher.publish(upload.key), return_exceptions=True)
    await desk.settle()
    file = await desk.file(upload.key)
    assert file is not None
    assert await desk.stored() == [file.object_key]


async def test_what_its_publisher_left_behind_is_published_by_the_next(desk: Desk) -> None:
    upload = await desk.uploaded()
    lease = new_lease(desk.ids, upload.tenant)
    await desk.database.write(lambda record: acquire(record, upload, lease, now=desk.clock()))
    assert not await desk.publisher.publish(upload.key)
    desk.clock.now += LEASE_MS + 1
    assert await desk.publisher.publish(upload.key)


async def test_what_is_under_way_is_waited_for(here: Desk) -> None:
    upload = await here.uploaded()
    asking = asyncio.create_task(here.publisher.publish(upload.key))
    await asyncio.sleep(0)
    await here.publisher.close()
    assert await here.file(upload.key) is not None
    assert await asking
