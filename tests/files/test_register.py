"""Registering: an upload becomes a file, once, whatever its client says and does meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from imgproxy.errors import (
    Conflict,
    FileNotFound,
    FilesError,
    FileTooLarge,
    FileTooSmall,
    ImageTooLarge,
    InvalidFormat,
    InvalidRequest,
    KeyExists,
    Overloaded,
    StorageFailed,
    StorageSlow,
    Unavailable,
    UploadExpired,
)
from imgproxy.files.database import Database
from imgproxy.files.hold import LEASE_MS
from imgproxy.files.model import Owner, UploadState, Visibility
from imgproxy.files.promises import AFTER_URL_MS
from imgproxy.files.repository.uploads import claim_upload
from imgproxy.storage import Storage
from tests.files.uploading import (
    ACME_ITSELF,
    BOB,
    BROKEN_JPEG,
    ELSEWHERE,
    JPEG,
    NOBODY,
    NOW,
    OTHER_JPEG,
    TEXT,
    TTL,
    Desk,
)
from tests.storage.broken import BrokenStorage


async def test_a_registered_upload_is_a_file_with_the_facts_of_its_bytes(desk: Desk) -> None:
    upload = await desk.uploaded()
    file = await desk.register(upload, alt="a cat", metadata={"camera": "X100"}, tags=("cat",))
    assert (file.size, file.mime_type, file.width, file.height) == (len(JPEG), "image/jpeg", 40, 20)
    assert (file.key, file.owner, file.collection) == (upload.key, Owner("user", "ann"), "images")
    assert (file.alt, file.metadata, file.tags) == ("a cat", {"camera": "X100"}, ("cat",))
    assert await desk.file(upload.key) == file


async def test_its_bytes_lie_where_no_client_ever_could_write(desk: Desk) -> None:
    upload = await desk.uploaded()
    file = await desk.register(upload)
    assert file.object_key.startswith(f"files/acme/{file.id}/")
    assert await desk.body(file.object_key) == JPEG
    assert (await desk.storage.head(file.object_key)).version == file.etag


async def test_what_is_put_after_registering_changes_nothing(desk: Desk) -> None:
    upload = await desk.uploaded()
    file = await desk.register(upload)
    await desk.put(upload.staging_key, OTHER_JPEG)
    await desk.drain()
    assert await desk.body(file.object_key) == JPEG


async def test_what_is_put_after_registering_is_gone_when_the_url_is(desk: Desk) -> None:
    upload = await desk.uploaded()
    file = await desk.register(upload)
    await desk.drain()
    await desk.put(upload.staging_key, OTHER_JPEG)
    desk.clock.now += TTL * 1000 + AFTER_URL_MS
    await desk.drain()
    assert await desk.stored() == [file.object_key]


async def test_registering_clears_the_staging_place(desk: Desk) -> None:
    upload = await desk.uploaded()
    file = await desk.register(upload)
    await desk.drain()
    assert await desk.stored() == [file.object_key]


async def test_edges_are_told_before_it_is_answered(here: Desk) -> None:
    upload = await here.uploaded()
    await here.register(upload)
    assert here.told == [upload.key]


async def test_the_visibility_is_the_upload_s_unless_told(here: Desk) -> None:
    seen = [
        (await here.register(await here.uploaded())).visibility,
        (await here.register(await here.uploaded(visibility=Visibility.SHARED))).visibility,
        (await here.register(await here.uploaded(), visibility=Visibility.PROTECTED)).visibility,
    ]
    assert seen == [Visibility.PUBLIC, Visibility.SHARED, Visibility.PROTECTED]


async def test_a_second_registration_is_refused(here: Desk) -> None:
    upload = await here.uploaded()
    await here.register(upload)
    with pytest.raises(KeyExists):
        await here.register(upload)


async def test_of_two_registrations_at_once_one_wins(desk: Desk) -> None:
    upload = await desk.uploaded()
    outcomes = await asyncio.gather(*(desk.register(upload) for _ in range(4)), return_exceptions=True)
    refused = [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(refused) == 3
    assert set(refused) <= {Conflict, KeyExists}
    await desk.settle()
    file = await desk.file(upload.key)
    assert file is not None
    assert await desk.stored() == [file.object_key]


@pytest.mark.parametrize("principal", [BOB, ELSEWHERE, NOBODY])
async def test_somebody_else_s_upload_is_not_there(here: Desk, principal: Any) -> None:
    upload = await here.uploaded()
    with pytest.raises(FileNotFound):
        await here.register(upload, principal)
    assert await here.file(upload.key) is None


async def test_a_secret_key_registers_for_a_user_whose_file_it_is(here: Desk) -> None:
    file = await here.register(await here.uploaded(), ACME_ITSELF)
    assert file.owner == Owner("user", "ann")


async def test_nobody_shares_what_nobody_in_particular_uploads(here: Desk) -> None:
    upload = await here.issue(NOBODY)
    await here.put(upload.staging_key)
    with pytest.raises(FileNotFound):
        await here.register(upload, NOBODY)


async def test_a_key_that_nothing_was_uploaded_for_is_told_so(desk: Desk) -> None:
    with pytest.raises(FileNotFound, match="nothing was uploaded"):
        await desk.register(await desk.issue())


async def test_it_can_be_registered_once_its_bytes_are_there(desk: Desk) -> None:
    upload = await desk.issue()
    with pytest.raises(FileNotFound):
        await desk.register(upload)
    await desk.put(upload.staging_key)
    assert (await desk.register(upload)).key == upload.key


async def test_another_bucket_than_the_upload_s_is_refused(here: Desk) -> None:
    with pytest.raises(InvalidRequest, match="images"):
        await here.register(await here.uploaded(), collection="avatars")


@pytest.mark.parametrize("state", [UploadState.ABORTED, UploadState.EXPIRED])
async def test_an_upload_that_has_ended_cannot_be_registered(here: Desk, state: UploadState) -> None:
    upload = await here.uploaded()
    await here.database.write(
        lambda record: claim_upload(
            record, upload.tenant, upload.id, from_states=(UploadState.ISSUED,), to=state, now=NOW
        )
    )
    with pytest.raises(UploadExpired):
        await here.register(upload)


LIES: list[tuple[bytes, dict[str, Any], dict[str, Any], type[FilesError]]] = [
    (JPEG, {}, {"size": len(JPEG) - 1}, FileTooLarge),
    (JPEG, {}, {"size": len(JPEG) + 1}, FileTooSmall),
    (JPEG, {"size": len(JPEG) + 1}, {}, FileTooSmall),
    (JPEG, {}, {"mime_type": "image/png"}, InvalidFormat),
    (JPEG, {"mime_type": "image/png"}, {}, InvalidFormat),
    (TEXT, {}, {"size": len(TEXT)}, InvalidFormat),
    (b"\0\1\2", {}, {"size": 3}, InvalidFormat),
    (b"", {}, {"size": 0}, FileTooSmall),
    (BROKEN_JPEG, {}, {"size": len(BROKEN_JPEG)}, InvalidFormat),
    (JPEG, {"mime_type": "text/plain", "name": "a.txt"}, {"mime_type": "text/plain"}, InvalidFormat),
    (TEXT, {"category": "attachments"}, {"mime_type": "text/plain", "size": len(TEXT)}, InvalidFormat),
    (b"%PDF-1", {"category": "images"}, {"mime_type": "application/octet-stream", "size": 6}, InvalidFormat),
    (b"%" * (2 * 1024**2 + 1), {"category": "avatars"}, {"size": 2 * 1024**2 + 1}, FileTooLarge),
]


@pytest.mark.parametrize(("body", "wish", "said", "kind"), LIES)
async def test_a_lie_is_refused_and_leaves_nothing(
    here: Desk, body: bytes, wish: dict[str, Any], said: dict[str, Any], kind: type[FilesError]
) -> None:
    upload = await here.uploaded(body, **wish)
    with pytest.raises(kind) as caught:
        await here.register(upload, **said)
    assert type(caught.value) is kind
    assert await here.file(upload.key) is None
    await here.drain()
    assert await here.stored() == [upload.staging_key]


async def test_after_a_refusal_other_bytes_may_be_put_and_registered(desk: Desk) -> None:
    upload = await desk.uploaded(TEXT)
    with pytest.raises(InvalidFormat):
        await desk.register(upload, size=len(TEXT))
    await desk.put(upload.staging_key)
    file = await desk.register(upload)
    await desk.settle()
    assert await desk.stored() == [file.object_key]


async def test_the_bytes_decide_where_the_client_does_not_know_the_type(here: Desk) -> None:
    upload = await here.uploaded(mime_type="application/octet-stream", name="cat")
    file = await here.register(upload, mime_type="application/octet-stream")
    assert file.mime_type == "image/jpeg"


async def test_the_client_s_word_counts_where_the_bytes_cannot_tell(here: Desk) -> None:
    upload = await here.uploaded(TEXT, mime_type="text/csv", name="a.csv")
    file = await here.register(upload, mime_type="text/csv", size=len(TEXT))
    assert (file.mime_type, file.width, here.measure.seen) == ("text/csv", None, [])


async def test_a_picture_beyond_what_is_shown_is_refused(here: Desk) -> None:
    here.measure.error = ImageTooLarge("too many pixels")
    with pytest.raises(InvalidFormat, match="too many pixels"):
        await here.register(await here.uploaded())


async def test_while_no_worker_has_time_it_can_be_tried_again(here: Desk) -> None:
    upload = await here.uploaded()
    here.measure.error = Overloaded("busy")
    with pytest.raises(Overloaded):
        await here.register(upload)
    here.measure.error = None
    file = await here.register(upload)
    await here.settle()
    assert await here.stored() == [file.object_key]


CALLS = ["head", "copy", "read"]


@pytest.mark.parametrize("call", CALLS)
async def test_storage_that_fails_on_the_way_leaves_nothing_and_can_be_tried_again(
    database: Database, call: str
) -> None:
    storage = BrokenStorage(only=(call,))
    desk = Desk(database, storage)
    upload = await desk.uploaded()
    with pytest.raises(StorageFailed):
        await desk.register(upload)
    assert await desk.file(upload.key) is None
    storage.error = None
    file = await desk.register(upload)
    await desk.settle()
    assert await desk.stored() == [file.object_key]


class _Late(BrokenStorage):
    """Does what it is asked, and says that it failed."""

    async def copy(self, source: Any, target: Any) -> Any:
        await super().copy(source, target)
        raise StorageSlow("the answer was lost")


async def test_a_copy_whose_answer_was_lost_is_removed_in_the_end(database: Database) -> None:
    desk = Desk(database, _Late(only=("nothing",)))
    upload = await desk.uploaded()
    with pytest.raises(StorageSlow):
        await desk.register(upload)
    await desk.drain()
    assert len(await desk.stored()) == 2
    await desk.settle()
    assert await desk.stored() == [upload.staging_key]


class _Dying:
    """A record that is not there any more after so many writes, or says so after the last."""

    def __init__(self, database: Database, writes: int, *, kept: bool = False) -> None:
        self._database = database
        self._left = writes
        self._kept = kept
        self.notifies = database.notifies
        self.read = database.read

    async def write(self, work: Any) -> Any:
        self._left -= 1
        if self._left == -1 and self._kept:
            await self._database.write(work)
        if self._left < 0:
            raise Unavailable("gone")
        return await self._database.write(work)


@pytest.mark.parametrize("writes", [0, 1])
async def test_where_the_record_is_lost_half_way_a_later_try_makes_the_file(
    database: Database, storage: Storage, writes: int
) -> None:
    desk = Desk(database, storage)
    upload = await desk.uploaded()
    with pytest.raises(Unavailable):
        await Desk(_Dying(database, writes), storage).register(upload)  # type: ignore[arg-type]
    assert await desk.file(upload.key) is None
    desk.clock.now += LEASE_MS + 1
    file = await desk.register(upload)
    await desk.settle()
    assert await desk.stored() == [file.object_key]


async def test_where_the_answer_of_the_last_commit_is_lost_the_file_stays(
    database: Database, storage: Storage
) -> None:
    desk = Desk(database, storage)
    upload = await desk.uploaded()
    with pytest.raises(Unavailable):
        await Desk(_Dying(database, 1, kept=True), storage).register(upload)  # type: ignore[arg-type]
    await desk.settle()
    file = await desk.file(upload.key)
    assert file is not None
    assert await desk.stored() == [file.object_key]


async def test_while_somebody_completes_it_nobody_else_does(here: Desk) -> None:
    upload = await here.uploaded()
    with pytest.raises(Unavailable):
        await Desk(_Dying(here.database, 1), here.storage).register(upload)  # type: ignore[arg-type]
    here.clock.now += LEASE_MS - 1
    with pytest.raises(Conflict):
        await here.register(upload)


async def test_who_was_taken_for_dead_and_comes_back_makes_no_second_file(here: Desk) -> None:
    upload = await here.uploaded()
    reached, released = asyncio.Event(), asyncio.Event()
    inspect = here.measure.inspect

    async def held(key: Any, version: str) -> Any:
        reached.set()
        await released.wait()
        return await inspect(key, version)

    here.measure.inspect = held  # type: ignore[method-assign]
    first = asyncio.create_task(here.register(upload))
    await reached.wait()
    here.measure.inspect = inspect  # type: ignore[method-assign]
    here.clock.now += LEASE_MS + 1
    file = await here.register(upload)
    released.set()
    with pytest.raises(FilesError):
        await first
    await here.settle()
    assert await here.file(upload.key) == file
    assert await here.stored() == [file.object_key]


async def test_who_comes_after_his_promise_was_kept_makes_no_file(here: Desk) -> None:
    upload = await here.uploaded()
    inspect = here.measure.inspect

    async def late(key: Any, version: str) -> Any:
        found = await inspect(key, version)
        here.clock.now += 2 * LEASE_MS
        await here.drain()
        return found

    here.measure.inspect = late  # type: ignore[method-assign]
    with pytest.raises(Conflict):
        await here.register(upload)
    assert await here.file(upload.key) is None
    assert await here.stored() == [upload.staging_key]


async def test_who_is_stopped_half_way_leaves_it_to_be_tried_again(here: Desk) -> None:
    upload = await here.uploaded()
    reached = asyncio.Event()
    inspect = here.measure.inspect

    async def held(key: Any, version: str) -> Any:
        reached.set()
        await asyncio.Event().wait()

    here.measure.inspect = held  # type: ignore[method-assign]
    first = asyncio.create_task(here.register(upload))
    await reached.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    here.measure.inspect = inspect  # type: ignore[method-assign]
    file = await here.register(upload)
    await here.settle()
    assert await here.stored() == [file.object_key]
