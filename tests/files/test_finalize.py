"""Freezing: what was uploaded is a file whose bytes nobody can write to, or nothing is left of the try."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from imgproxy.errors import (
    BrokenImage,
    Conflict,
    EngineFailed,
    FilesError,
    FileTooLarge,
    FileTooSmall,
    ImageTooLarge,
    InvalidFormat,
    Overloaded,
    SourceTooLarge,
    StorageFailed,
    StorageSlow,
    Unavailable,
)
from imgproxy.files import finalize
from imgproxy.files.database import Database
from imgproxy.files.finalize import (
    ContentInspector,
    DeclaredContent,
    Inspection,
    check_weight,
    made,
    type_of,
)
from imgproxy.files.model import Collection, FileState, UploadState, Visibility
from imgproxy.files.outbox_tasks import AFTER_URL_MS
from imgproxy.files.sniff import SNIFFED_BYTES
from imgproxy.files.upload_lease import LEASE_MS, new_lease
from imgproxy.image.source import Key
from imgproxy.storage import Storage
from imgproxy.storage.memory import MemoryStorage
from tests.files.samples import upload as an_upload
from tests.files.uploading import (
    BROKEN_JPEG,
    JPEG,
    NOW,
    OTHER_JPEG,
    PLACE,
    TEXT,
    TTL,
    Desk,
    Measure,
    bytes_of,
)
from tests.storage.broken import BrokenStorage


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

    async def held(*asked: Any) -> Any:
        reached.set()
        await released.wait()
        return await inspect(*asked)

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

    async def late(*asked: Any) -> Any:
        found = await inspect(*asked)
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

    async def held(*asked: Any) -> Any:
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


FACTS = {
    "original_name": "cat.jpg",
    "visibility": Visibility.PRIVATE,
    "description": "mine",
    "alt": "a cat",
    "related_entity_id": "post-1",
}
FOUND = Inspection(7, "v1", "image/png", 40, 20)


def test_a_file_is_made_of_its_bytes_its_upload_and_its_owner_s_words(here: Desk) -> None:
    upload = an_upload(visibility=Visibility.PUBLIC, declared_type="image/jpeg", declared_size=9)
    lease = new_lease(here.ids, upload.tenant)
    file = made(upload, lease, FACTS, FOUND, now=NOW + 5)
    assert (file.size, file.etag, file.mime_type, file.width, file.height) == (7, "v1", "image/png", 40, 20)
    assert (file.id, file.object_key) == (lease.file_id, lease.object_key)
    assert (file.key, file.owner, file.collection) == (upload.key, upload.owner, upload.collection)
    assert (file.visibility, file.description, file.alt) == (Visibility.PRIVATE, "mine", "a cat")
    assert (file.state, file.created_at, file.updated_at) == (FileState.READY, NOW + 5, NOW + 5)
    assert (file.row_version, file.generation) == (1, 1)


@pytest.mark.parametrize(
    ("said", "declared", "kept"),
    [("cats", "pets", "cats"), (None, "pets", "pets"), ("", "pets", ""), (None, None, None)],
)
def test_a_category_is_the_upload_s_unless_told(
    here: Desk, said: str | None, declared: str | None, kept: str | None
) -> None:
    upload = an_upload(category=declared)
    attributes = {"original_name": "cat.jpg"} | ({} if said is None else {"category": said})
    file = made(upload, new_lease(here.ids, upload.tenant), attributes, FOUND, now=NOW)
    assert file.category == kept


class _Slow(BrokenStorage):
    """Never ends a copy."""

    async def copy(self, source: Any, target: Any) -> Any:
        await asyncio.Event().wait()


async def test_a_copy_that_does_not_end_is_given_up_and_can_be_tried_again(
    here: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finalize, "_SECONDS", 0.01)
    desk = Desk(here.database, _Slow(only=("nothing",)))
    upload = await desk.uploaded()
    with pytest.raises(StorageSlow, match="in time"):
        await desk.register(upload)
    kept = await desk.upload(upload)
    assert kept is not None
    assert (kept.state, kept.file_id) == (UploadState.ISSUED, None)
    assert await desk.drain() == []  # the copy may still come to be


def test_who_tries_gives_up_before_anybody_takes_over() -> None:
    assert finalize._SECONDS * 1000 < LEASE_MS


async def test_what_cannot_be_is_told_before_a_byte_is_copied(here: Desk) -> None:
    desk = Desk(here.database, BrokenStorage(only=("copy",)))
    upload = await desk.uploaded(TEXT, mime_type="text/plain", name="a.txt")
    with pytest.raises(FilesError, match="bytes"):
        await desk.register(upload, mime_type="text/plain", size=len(TEXT) + 1)


async def test_a_file_is_there_whoever_could_not_be_told(here: Desk) -> None:
    async def deaf(key: Key) -> None:
        raise EngineFailed("an edge does not answer")

    here.finalizer._tell = deaf
    upload = await here.uploaded()
    file = await here.register(upload)
    assert await here.file(upload.key) == file


async def test_what_went_wrong_is_told_though_the_record_is_gone_too(here: Desk) -> None:
    upload = await here.uploaded(TEXT)
    with pytest.raises(InvalidFormat):
        await Desk(_Dying(here.database, 1), here.storage).register(upload, size=len(TEXT))  # type: ignore[arg-type]


PLACED = JPEG + PLACE


@pytest.fixture
def stripping(desk: Desk) -> Desk:
    """Where metadata of images is removed."""
    return Desk(desk.database, desk.storage, desk.clock, strips=True)


async def test_freeze_strips_an_image_whose_size_was_told_with_its_metadata(stripping: Desk) -> None:
    upload = await stripping.uploaded(PLACED, size=len(PLACED))
    file = await stripping.register(upload, size=len(PLACED))
    assert await stripping.body(file.object_key) == JPEG
    head = await stripping.storage.head(file.object_key)
    assert (file.size, file.etag) == (len(JPEG), head.version)
    await stripping.settle()
    assert await stripping.stored() == [file.object_key]


async def test_freeze_compares_the_size_that_was_sent(stripping: Desk) -> None:
    upload = await stripping.uploaded(PLACED)
    with pytest.raises(FileTooLarge):
        await stripping.register(upload, size=len(JPEG))


async def test_freeze_leaves_other_types_alone(stripping: Desk) -> None:
    upload = await stripping.uploaded(TEXT + PLACE, name="a.txt", mime_type="text/plain")
    file = await stripping.register(upload, mime_type="text/plain", size=len(TEXT + PLACE))
    assert await stripping.body(file.object_key) == TEXT + PLACE


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BrokenImage("the JPEG has no pixels"), InvalidFormat),
        (SourceTooLarge("more than 50 MB"), FileTooLarge),
        (Overloaded("busy"), Overloaded),
    ],
)
async def test_freeze_publishes_nothing_that_cannot_be_stripped(
    stripping: Desk, error: Exception, kind: type[Exception]
) -> None:
    upload = await stripping.uploaded(PLACED)
    stripping.erase.error = error  # type: ignore[assignment]
    with pytest.raises(kind):
        await stripping.register(upload, size=len(PLACED))
    assert await stripping.file(upload.key) is None
    stripping.erase.error = None
    assert (await stripping.register(upload, size=len(PLACED))).size == len(JPEG)


async def test_freeze_copies_no_image_that_comes_in_place_of_what_it_looked_at(
    stripping: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TEXT.ljust(len(PLACED), b".")
    upload = await stripping.uploaded(text, mime_type="application/octet-stream")
    copy = stripping.storage.copy

    async def late(source: Key, target: Key) -> Any:
        await stripping.put(source, PLACED)
        return await copy(source, target)

    monkeypatch.setattr(stripping.storage, "copy", late)
    with pytest.raises(Conflict):
        await stripping.register(upload, mime_type="application/octet-stream", size=len(text))


async def test_freeze_published_and_stripped_is_registered_with_the_size_that_was_sent(
    stripping: Desk,
) -> None:
    upload = await stripping.uploaded(PLACED)
    assert await stripping.publisher.publish(upload.key)
    with pytest.raises(FilesError):
        await stripping.register(upload, size=len(JPEG) - 1)
    file = await stripping.register(upload, size=len(PLACED))
    assert await stripping.body(file.object_key) == JPEG


KEY = Key("files/acme/1/a")
ANYTHING = Collection("files", Visibility.PRIVATE, max_size=10**6)
IMAGES = Collection("images", Visibility.PUBLIC, max_size=100, types=("image/*",), min_size=2)
UNKNOWN = "application/octet-stream"


class Noted(MemoryStorage):
    """Notes how much was read, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[int, int | None]] = []
        self.open = 0

    async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.reads.append((start, end))
        self.open += 1
        try:
            async for chunk in super().read(key, start=start, end=end):
                yield chunk
        finally:
            self.open -= 1


@pytest.fixture
def storage() -> Noted:
    return Noted()


@pytest.fixture
def measure(storage: Noted) -> Measure:
    return Measure(storage)


async def inspect(
    storage: MemoryStorage,
    measure: Measure,
    body: bytes,
    *said: str,
    name: str = "cat",
    sizes: tuple[int, ...] = (),
    collection: Collection = ANYTHING,
) -> Inspection:
    head = await storage.put(KEY, bytes_of(body))
    return await ContentInspector(storage, measure).inspect(
        KEY, head, DeclaredContent(name, said, sizes), collection
    )


async def test_a_picture_is_what_its_bytes_are(storage: Noted, measure: Measure) -> None:
    found = await inspect(storage, measure, JPEG, "image/jpeg", sizes=(len(JPEG),))
    version = (await storage.head(KEY)).version
    assert found == Inspection(len(JPEG), version, "image/jpeg", 40, 20)


async def test_the_bytes_decide_where_the_client_does_not_know_the_type(
    storage: Noted, measure: Measure
) -> None:
    assert (await inspect(storage, measure, JPEG, UNKNOWN)).mime_type == "image/jpeg"


async def test_the_bytes_decide_where_nobody_says_anything(storage: Noted, measure: Measure) -> None:
    assert (await inspect(storage, measure, JPEG)).mime_type == "image/jpeg"


async def test_the_client_s_word_counts_where_the_bytes_cannot_tell(storage: Noted, measure: Measure) -> None:
    found = await inspect(storage, measure, TEXT, "text/csv", name="a.csv")
    assert (found.mime_type, found.width, measure.seen) == ("text/csv", None, [])


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (("text/plain", "text/csv"), "text/csv"),
        (("text/csv", "text/plain"), "text/plain"),
        ((UNKNOWN, "text/csv"), "text/csv"),
    ],
)
async def test_of_several_words_the_last_counts(said: tuple[str, ...], kept: str) -> None:
    assert await type_of(TEXT, DeclaredContent("a.txt", said)) == kept


@pytest.mark.parametrize("said", [("image/png", "image/jpeg"), ("image/jpeg", "image/png")])
async def test_every_word_must_be_possible(said: tuple[str, ...]) -> None:
    with pytest.raises(InvalidFormat, match="image/png"):
        await type_of(JPEG, DeclaredContent("cat.jpg", said))


async def test_no_more_is_read_than_a_type_is_told_by(storage: Noted, measure: Measure) -> None:
    await inspect(storage, measure, TEXT * 10_000, "text/plain")
    assert (storage.reads, storage.open) == ([(0, SNIFFED_BYTES)], 0)


@pytest.mark.parametrize("body", [TEXT, b"%PDF-1.4", b"\0\1\2"])
async def test_what_is_no_picture_is_looked_into_by_nobody(
    storage: Noted, measure: Measure, body: bytes
) -> None:
    found = await inspect(storage, measure, body)
    assert (found.width, found.height, measure.seen) == (None, None, [])


async def test_a_picture_larger_than_what_we_read_is_kept_without_its_sides(
    storage: Noted, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(measure, "inspect", nothing)
    found = await inspect(storage, measure, JPEG, "image/jpeg")
    assert (found.mime_type, found.width, found.height) == ("image/jpeg", None, None)


async def test_a_broken_picture_is_refused_and_why(storage: Noted, measure: Measure) -> None:
    with pytest.raises(InvalidFormat, match="cannot be read as image/jpeg: the picture ends too early"):
        await inspect(storage, measure, BROKEN_JPEG, "image/jpeg")


async def test_a_picture_beyond_what_is_shown_is_refused(storage: Noted, measure: Measure) -> None:
    measure.error = ImageTooLarge("too many pixels")
    with pytest.raises(InvalidFormat, match="too many pixels"):
        await inspect(storage, measure, JPEG, "image/jpeg")


async def test_that_no_worker_has_time_is_not_the_picture_s_fault(storage: Noted, measure: Measure) -> None:
    measure.error = Overloaded("busy")
    with pytest.raises(Overloaded):
        await inspect(storage, measure, JPEG, "image/jpeg")


REFUSED: list[tuple[bytes, dict[str, Any], type[FilesError]]] = [
    (JPEG, {"sizes": (len(JPEG) - 1,)}, FileTooLarge),
    (JPEG, {"sizes": (len(JPEG), len(JPEG) + 1)}, FileTooSmall),
    (b"%" * 101, {"collection": IMAGES}, FileTooLarge),
    (b"%", {"collection": IMAGES}, FileTooSmall),
]


@pytest.mark.parametrize(("body", "given", "kind"), REFUSED)
async def test_what_weighs_too_much_or_too_little_is_refused_before_it_is_read(
    storage: Noted, measure: Measure, body: bytes, given: dict[str, Any], kind: type[FilesError]
) -> None:
    with pytest.raises(kind) as caught:
        await inspect(storage, measure, body, **given)
    assert (type(caught.value), storage.reads) == (kind, [])


async def test_what_the_collection_does_not_take_is_not_even_looked_into(
    storage: Noted, measure: Measure
) -> None:
    documents = Collection("documents", Visibility.PRIVATE, max_size=10**6, types=("text/*",))
    with pytest.raises(InvalidFormat, match=r"documents takes text/\*, not image/jpeg"):
        await inspect(storage, measure, JPEG, UNKNOWN, collection=documents)
    assert measure.seen == []


async def test_a_storage_that_fails_is_nobody_s_lie() -> None:
    storage = BrokenStorage(only=("read",))
    with pytest.raises(StorageFailed):
        await inspect(storage, Measure(storage), JPEG, "image/jpeg")


@pytest.mark.parametrize("size", [2, 100])
def test_the_least_and_the_most_are_taken(size: int) -> None:
    check_weight(size, DeclaredContent("cat.jpg", (), (size,)), IMAGES)
