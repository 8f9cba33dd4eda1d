"""Demo images are public files of a tenant of their own; what was made of them since is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from imgproxy.demo.registration import TENANT, register_images
from imgproxy.errors import BadKey, NotFound
from imgproxy.files.database import Work, open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.model import File, FileState, Owner, Visibility
from imgproxy.files.repository.files import file_by_key, update_file
from imgproxy.image.source import Key
from imgproxy.settings import Settings
from imgproxy.storage.local import LocalOptions

T = TypeVar("T")
NAME = "demo/cat.jpg"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A deployment whose folder has one image."""
    draw(tmp_path, NAME, b"a cat")
    return Settings(storage=LocalOptions(tmp_path / "objects"), database=SqliteUrl(tmp_path / "record.db"))


def draw(folder: Path, name: str, body: bytes) -> None:
    path = folder / "objects" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


async def record(settings: Settings, work: Work[T], *, writes: bool = False) -> T:
    database = await open_database(settings.database)
    try:
        return await (database.write(work) if writes else database.read(work))
    finally:
        await database.close()


async def shown(settings: Settings, name: str = NAME) -> File:
    found = await record(settings, lambda connection: file_by_key(connection, Key(name)))
    assert found is not None
    return found


async def test_what_lies_in_storage_is_a_public_file_under_its_own_name(settings: Settings) -> None:
    await register_images(settings, [NAME])
    file = await shown(settings)
    assert (file.key, file.object_key, file.original_name) == (NAME, NAME, "cat.jpg")
    assert (file.tenant, file.owner, file.collection) == (TENANT, Owner("service"), "images")
    assert (file.size, file.mime_type, file.visibility) == (5, "image/jpeg", Visibility.PUBLIC)
    assert (file.state, file.generation) == (FileState.READY, 1)


@pytest.mark.parametrize(
    ("name", "expected"), [("demo/cat.png", "image/png"), ("demo/cat", "application/octet-stream")]
)
async def test_its_type_is_what_its_name_says(
    settings: Settings, tmp_path: Path, name: str, expected: str
) -> None:
    draw(tmp_path, name, b"x")
    await register_images(settings, [name])
    assert (await shown(settings, name)).mime_type == expected


async def test_what_was_shown_before_stays_as_it_is(settings: Settings) -> None:
    await register_images(settings, [NAME])
    before = await shown(settings)
    await register_images(settings, [NAME])
    assert await shown(settings) == before


async def test_what_was_drawn_anew_is_new_to_edges_and_still_what_was_made_of_it(
    settings: Settings, tmp_path: Path
) -> None:
    await register_images(settings, [NAME])
    before = await shown(settings)
    private = replace(before, visibility=Visibility.PRIVATE, alt="a cat", generation=2)
    kept = await record(settings, lambda connection: update_file(connection, before, private), writes=True)
    draw(tmp_path, NAME, b"another cat")
    await register_images(settings, [NAME])
    file = await shown(settings)
    assert (file.size, file.etag != before.etag) == (11, True)
    assert file == replace(kept, size=11, etag=file.etag, generation=3, row_version=3)


@pytest.mark.parametrize(("name", "kind"), [("demo/none.jpg", NotFound), ("../cat.jpg", BadKey)])
async def test_what_is_not_there_is_not_shown(settings: Settings, name: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await register_images(settings, [name])
    assert await record(settings, lambda connection: file_by_key(connection, Key(name))) is None
