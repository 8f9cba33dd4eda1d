"""Issuing uploads: nothing can be written anywhere that no row knows of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from imgproxy.errors import FileTooLarge, FileTooSmall, InvalidFormat, StorageFailed, UploadInitFailed
from imgproxy.files.database import Database
from imgproxy.files.model import Collection, Owner, UploadState, Visibility
from imgproxy.files.repository.uploads import expired_uploads
from imgproxy.files.uploads import UploadRequest
from tests.files.samples import set_collection
from tests.files.uploading import ACME, ACME_ITSELF, ANN, JPEG, NOBODY, NOW, TTL, Desk
from tests.storage.broken import BrokenStorage

WISH = UploadRequest("Été 1.JPG", "image/jpeg", len(JPEG))
LATER = NOW + 10 * TTL * 1000


async def test_an_upload_is_kept_as_it_was_wished(desk: Desk) -> None:
    issued = await desk.uploads.issue(ANN, WISH)
    kept = await desk.upload(issued.upload)
    assert kept == issued.upload
    assert (kept.declared_name, kept.declared_type, kept.declared_size) == (
        "Été 1.JPG",
        "image/jpeg",
        len(JPEG),
    )
    assert (kept.state, kept.kind, kept.owner) == (UploadState.ISSUED, "single", Owner("user", "ann"))
    assert kept.url_expires_at == NOW + TTL * 1000


async def test_the_key_is_drawn_and_ends_in_a_safe_name(here: Desk) -> None:
    keys = [(await here.uploads.issue(ANN, WISH)).upload.key for _ in range(2)]
    collection, drawn, name = keys[0].split("/")
    assert (collection, len(drawn), name) == ("images", 22, "Ete-1.JPG")
    assert keys[0] != keys[1]


async def test_the_url_is_for_the_staging_place_and_good_for_so_long(here: Desk) -> None:
    issued = await here.uploads.issue(ANN, WISH)
    assert issued.upload.staging_key == f"staging/acme/{issued.upload.id}"
    assert issued.url.startswith(f"/-/{issued.upload.staging_key}?")
    assert issued.expires_in == TTL


async def test_the_url_binds_type_and_size(here: Desk) -> None:
    url = (await here.uploads.issue(ANN, WISH)).url
    assert f"length={len(JPEG)}" in url
    assert "type=image%2Fjpeg" in url


async def test_the_url_binds_no_size_that_was_not_told(here: Desk) -> None:
    assert "length=" not in (await here.uploads.issue(ANN, UploadRequest("a.jpg", "image/jpeg"))).url


async def test_the_row_is_there_before_the_url_is(database: Database) -> None:
    desk = Desk(database, BrokenStorage(only=("presign",)))
    with pytest.raises(StorageFailed):
        await desk.uploads.issue(ANN, WISH)
    rows = await database.read(lambda record: expired_uploads(record, before=LATER))
    assert [row.declared_name for row in rows] == ["Été 1.JPG"]


@pytest.mark.parametrize(
    ("wanted", "collection", "visibility"),
    [
        ({}, "images", Visibility.PUBLIC),
        ({"mime_type": "IMAGE/PNG; a=b"}, "images", Visibility.PUBLIC),
        ({"category": "avatars"}, "avatars", Visibility.PUBLIC),
        ({"category": "my cats"}, "images", Visibility.PUBLIC),
        ({"category": "attachments"}, "attachments", Visibility.PRIVATE),
        ({"mime_type": "application/pdf"}, "documents", Visibility.PRIVATE),
        ({"mime_type": "application/x-thing"}, "files", Visibility.PRIVATE),
        ({"visibility": Visibility.SHARED}, "images", Visibility.SHARED),
    ],
)
async def test_the_category_or_the_type_chooses_the_collection(
    here: Desk, wanted: dict[str, Any], collection: str, visibility: Visibility
) -> None:
    upload = await here.issue(**wanted)
    assert (upload.collection, upload.visibility) == (collection, visibility)


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ({"mime_type": "text/plain", "category": "images"}, InvalidFormat),
        ({"size": 20 * 1024**2 + 1}, FileTooLarge),
        ({"size": 2 * 1024**2 + 1, "category": "avatars"}, FileTooLarge),
        ({"size": 0}, FileTooSmall),
    ],
)
async def test_what_the_collection_does_not_take_is_refused_and_not_kept(
    here: Desk, wanted: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await here.issue(**wanted)
    assert await here.database.read(lambda record: expired_uploads(record, before=LATER)) == []


async def test_the_largest_size_is_taken(here: Desk) -> None:
    assert (await here.issue(size=20 * 1024**2)).declared_size == 20 * 1024**2


async def test_a_tenant_s_own_collections_go_before_the_defaults(here: Desk) -> None:
    small = Collection("images", Visibility.PRIVATE, max_size=10)
    await here.database.write(lambda record: set_collection(record, ACME, small))
    with pytest.raises(FileTooLarge):
        await here.issue(size=11)
    assert (await here.issue(size=10)).visibility is Visibility.PRIVATE


async def test_a_change_of_collections_counts_after_some_seconds(here: Desk) -> None:
    await here.issue(size=11)
    small = Collection("images", Visibility.PRIVATE, max_size=10)
    await here.database.write(lambda record: set_collection(record, ACME, small))
    assert (await here.issue(size=11)).visibility is Visibility.PUBLIC
    here.clock.now += 5_000
    with pytest.raises(FileTooLarge):
        await here.issue(size=11)


async def test_what_a_tenant_uploads_is_its_own(here: Desk) -> None:
    owners = [(await here.issue(each)).owner for each in (ACME_ITSELF, NOBODY)]
    assert owners == [Owner("service"), Owner("public")]


async def test_many_may_be_issued_at_once(desk: Desk) -> None:
    issued = await asyncio.gather(*(desk.issue() for _ in range(20)))
    assert len({upload.key for upload in issued}) == 20


async def test_an_upload_in_parts_knows_storage_s_name_of_it(desk: Desk) -> None:
    upload = await desk.uploads.issue_parts(ANN, WISH)
    assert upload.storage_upload is not None
    assert await desk.upload(upload) == upload
    assert [each.upload async for each in desk.storage.multipart.list()] == [upload.storage_upload]


async def test_where_storage_begins_no_upload_its_row_has_ended(here: Desk) -> None:
    desk = Desk(here.database, BrokenStorage(only=("multipart.begin",)))
    with pytest.raises(UploadInitFailed):
        await desk.uploads.issue_parts(ANN, WISH)
    assert await here.database.read(lambda record: expired_uploads(record, before=LATER)) == []
