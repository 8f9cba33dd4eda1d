"""Promises of `imgproxy.files.collections`."""

from __future__ import annotations

import pytest

from imgproxy.errors import FileTooLarge, FileTooSmall, InvalidFormat
from imgproxy.files.collections import (
    DEFAULTS,
    CollectionLimits,
    check_size,
    check_type,
    choose,
    essence,
    takes,
)
from imgproxy.files.database import Database, Work
from imgproxy.files.model import Collection, TenantId, Visibility
from tests.files.samples import set_collection
from tests.files.uploading import ACME, OTHER, Clock, Desk


def test_only_pictures_are_public_unless_said_otherwise() -> None:
    public = {name for name, each in DEFAULTS.items() if each.default_visibility is Visibility.PUBLIC}
    assert public == {"images", "avatars"}
    assert {each.default_visibility for each in DEFAULTS.values()} == {Visibility.PUBLIC, Visibility.PRIVATE}


@pytest.mark.parametrize(
    ("category", "mime_type", "expected"),
    [
        ("avatars", "image/png", "avatars"),
        ("avatars", "video/mp4", "avatars"),
        ("pets", "image/png", "images"),
        (None, "image/png", "images"),
        (None, "video/mp4", "media"),
        (None, "audio/ogg", "media"),
        (None, "text/plain", "documents"),
        (None, "application/pdf", "documents"),
        (None, "application/vnd.oasis.opendocument.text", "documents"),
        (None, "application/zip", "files"),
        (None, "font/woff2", "files"),
    ],
)
def test_an_upload_goes_where_its_category_or_else_its_type_says(
    category: str | None, mime_type: str, expected: str
) -> None:
    assert choose(DEFAULTS, category=category, mime_type=mime_type) == expected


@pytest.mark.parametrize(
    ("name", "mime_type", "expected"),
    [
        ("images", "image/svg+xml", True),
        ("images", "video/mp4", False),
        ("attachments", "application/pdf", True),
        ("attachments", "application/pdfx", False),
        ("files", "application/anything", True),
    ],
)
def test_a_collection_takes_the_types_that_it_names(name: str, mime_type: str, expected: bool) -> None:
    assert takes(DEFAULTS[name], mime_type) == expected


def test_temporary_files_can_be_restored_for_a_day_and_others_for_a_month() -> None:
    assert {each.retention for name, each in DEFAULTS.items() if name != "temp"} == {30 * 86_400}
    assert DEFAULTS["temp"].retention == 86_400


PETS = Collection("pets", Visibility.PUBLIC, max_size=10, types=("image/*", "application/pdf"), min_size=2)
REMEMBERED_MS = 5_000


class Counted:
    """A record that counts how often it is read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0

    async def read(self, work: Work[object]) -> object:
        self.reads += 1
        return await self._database.read(work)


@pytest.fixture
def counted(here: Desk) -> Counted:
    return Counted(here.database)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(counted: Counted, clock: Clock) -> CollectionLimits:
    return CollectionLimits(counted, clock=clock)  # type: ignore[arg-type]


async def give(desk: Desk, collection: Collection, tenant: TenantId = ACME) -> None:
    await desk.database.write(lambda record: set_collection(record, tenant, collection))


@pytest.mark.parametrize(
    ("category", "mime_type", "expected"),
    [
        ("pets", "video/mp4", PETS),
        ("birds", "image/png", DEFAULTS["images"]),
        (None, "IMAGE/PNG; q=1", DEFAULTS["images"]),
        (None, "application/zip", DEFAULTS["files"]),
    ],
)
async def test_a_file_is_taken_on_the_terms_of_its_category_or_else_of_its_type(
    here: Desk, limits: CollectionLimits, category: str | None, mime_type: str, expected: Collection
) -> None:
    await give(here, PETS)
    assert await limits.choose(ACME, category=category, mime_type=mime_type) == expected


async def test_a_tenant_s_terms_are_nobody_else_s(here: Desk, limits: CollectionLimits) -> None:
    await give(here, PETS)
    assert (await limits.choose(ACME, category="pets", mime_type="image/png")).name == "pets"
    assert (await limits.choose(OTHER, category="pets", mime_type="image/png")).name == "images"


async def test_a_collection_of_one_s_own_takes_the_place_of_the_one_of_its_name(
    here: Desk, limits: CollectionLimits
) -> None:
    own = Collection("images", Visibility.PRIVATE, max_size=1)
    await give(here, own)
    assert await limits.named(ACME, "images") == own


async def test_what_is_not_there_any_more_limits_nothing(limits: CollectionLimits) -> None:
    found = await limits.named(ACME, "pets")
    assert (found, found.types) == (DEFAULTS["files"], ())


async def test_terms_are_read_once_for_all_who_ask_within_seconds(
    limits: CollectionLimits, counted: Counted, clock: Clock
) -> None:
    await limits.named(ACME, "images")
    clock.now += REMEMBERED_MS - 1
    await limits.choose(ACME, category=None, mime_type="image/png")
    assert counted.reads == 1
    await limits.named(OTHER, "images")
    assert counted.reads == 2


async def test_a_change_of_terms_is_known_within_seconds(
    here: Desk, limits: CollectionLimits, clock: Clock
) -> None:
    await limits.named(ACME, "pets")
    await give(here, PETS)
    clock.now += REMEMBERED_MS
    assert await limits.named(ACME, "pets") == PETS


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("image/png", "image/png"),
        ("IMAGE/Png", "image/png"),
        (" image/png ;q=1", "image/png"),
        ("text/plain;charset=utf-8;x=y", "text/plain"),
        ("", ""),
        (";", ""),
    ],
)
def test_types_are_compared_without_what_does_not_make_them_another(said: str, expected: str) -> None:
    assert essence(said) == expected


@pytest.mark.parametrize("kind", ["image/png", "Image/AVIF; q=1", "application/pdf"])
def test_a_type_that_is_taken_is_taken(kind: str) -> None:
    check_type(PETS, kind)


@pytest.mark.parametrize("kind", ["application/pdfx", "video/mp4", ""])
def test_a_type_that_is_not_taken_is_refused_and_told_what_is(kind: str) -> None:
    with pytest.raises(InvalidFormat, match=rf"^pets takes image/\*, application/pdf, not {kind}$"):
        check_type(PETS, kind)


@pytest.mark.parametrize("size", [2, 10])
def test_the_least_and_the_most_are_taken(size: int) -> None:
    check_size(PETS, size)


@pytest.mark.parametrize(("size", "kind"), [(11, FileTooLarge), (1, FileTooSmall), (0, FileTooSmall)])
def test_a_byte_beyond_is_refused(size: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=f"^pets takes at (most 10|least 2) bytes, not {size}$"):
        check_size(PETS, size)
