"""What a frozen object is, by its bytes; what its client says of them is only held against them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from imgproxy.errors import (
    FilesError,
    FileTooLarge,
    FileTooSmall,
    ImageTooLarge,
    InvalidFormat,
    Overloaded,
    StorageFailed,
)
from imgproxy.files.content_inspection import (
    ContentInspector,
    DeclaredContent,
    Inspection,
    check_weight,
    type_of,
)
from imgproxy.files.model import Collection, Visibility
from imgproxy.files.sniff import SNIFFED_BYTES
from imgproxy.image.source import Key
from imgproxy.storage.memory import MemoryStorage
from tests.files.uploading import BROKEN_JPEG, JPEG, TEXT, Measure, bytes_of
from tests.storage.broken import BrokenStorage

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
