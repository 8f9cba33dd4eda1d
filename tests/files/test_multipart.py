"""Uploads in parts: what storage has is what counts, and every step may be asked for twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgproxy.errors import (
    Conflict,
    FileNotFound,
    FileTooLarge,
    InvalidPartNumber,
    InvalidParts,
    StorageFailed,
    UploadExpired,
    UploadNotFound,
)
from imgproxy.files.database import Database
from imgproxy.files.model import Upload, UploadId, UploadState
from imgproxy.files.multipart import MultipartUploads, UploadReference
from imgproxy.files.outbox_tasks import AFTER_URL_MS
from imgproxy.files.upload_lease import LEASE_MS, acquire, new_lease
from imgproxy.files.uploads import UploadRequest
from imgproxy.image.source import Key
from imgproxy.storage import MIN_PART_BYTES, Part
from tests.files.uploading import (
    ACME_ITSELF,
    ANN,
    BOB,
    ELSEWHERE,
    JPEG,
    NOBODY,
    NOW,
    TTL,
    Desk,
    bytes_of,
)
from tests.storage.broken import BrokenStorage

FIRST = JPEG.ljust(MIN_PART_BYTES, b".")


async def begun(desk: Desk) -> Upload:
    return await desk.uploads.issue_parts(ANN, UploadRequest("cat.jpg", "image/jpeg"))


def place(upload: Upload) -> UploadReference:
    return UploadReference(upload.id, upload.key)


async def send(desk: Desk, upload: Upload, number: int, body: bytes) -> Part:
    """Put a part as a client with its URL does."""
    assert upload.storage_upload is not None
    part = await desk.storage.multipart.receive(  # type: ignore[attr-defined]
        upload.staging_key, upload.storage_upload, number=number, chunks=bytes_of(body)
    )
    return Part(part.number, part.etag)


async def test_parts_in_any_order_become_one_file(desk: Desk) -> None:
    upload = await begun(desk)
    last, first = await send(desk, upload, 7, b" end"), await send(desk, upload, 2, FIRST)
    assert await desk.multipart.complete(ANN, place(upload), [first, last]) == upload
    file = await desk.register(upload, size=len(FIRST) + 4)
    assert await desk.body(file.object_key) == FIRST + b" end"
    await desk.settle()
    assert await desk.stored() == [file.object_key]


async def test_what_has_arrived_is_told_from_storage(desk: Desk) -> None:
    upload = await begun(desk)
    await send(desk, upload, 2, b"lost")
    for number, body in ((1, b"one"), (2, b"two!")):
        await send(desk, upload, number, body)
    told = await desk.multipart.parts(ANN, place(upload))
    assert [(part.number, part.size) for part in told] == [(1, 3), (2, 4)]


async def test_a_part_s_url_is_for_the_staging_place_and_good_for_so_long(here: Desk) -> None:
    upload = await begun(here)
    signed = await here.multipart.sign(ANN, place(upload), number=3)
    assert signed.url.startswith(f"/-/{upload.staging_key}?")
    assert (signed.expires_in, signed.expires_at) == (TTL, NOW + TTL * 1000)


@pytest.mark.parametrize("number", [0, -1, 10_001])
async def test_a_part_is_numbered_from_1_to_10_000(here: Desk, number: int) -> None:
    upload = await begun(here)
    with pytest.raises(InvalidPartNumber):
        await here.multipart.sign(ANN, place(upload), number=number)


async def test_the_row_knows_until_when_urls_are_good_before_they_are(desk: Desk) -> None:
    upload = await begun(desk)
    for _ in range(5):
        desk.clock.now += TTL * 500
        signed = await desk.multipart.sign(ANN, place(upload), number=1)
        kept = await desk.upload(upload)
        assert kept is not None
        assert kept.url_expires_at >= signed.expires_at


async def test_of_what_was_given_up_nothing_is_signed(here: Desk) -> None:
    storage = BrokenStorage(only=("nothing",))
    desk = Desk(here.database, storage)
    upload = await begun(desk)
    await desk.multipart.abort(ANN, place(upload))
    with pytest.raises(UploadNotFound):
        await desk.multipart.sign(ANN, place(upload), number=1)
    assert "multipart.presign" not in storage.calls


@pytest.mark.parametrize("parts", [[], [Part(1, '"x"')], [Part(2, "a"), Part(1, "b")]])
async def test_parts_that_are_not_there_make_no_object(desk: Desk, parts: list[Part]) -> None:
    upload = await begun(desk)
    with pytest.raises(InvalidParts):
        await desk.multipart.complete(ANN, place(upload), parts)
    first = await send(desk, upload, 1, JPEG)
    assert await desk.multipart.complete(ANN, place(upload), [first]) == upload


async def test_completing_twice_is_answered_twice(desk: Desk) -> None:
    upload = await begun(desk)
    parts = [await send(desk, upload, 1, JPEG)]
    answers = [await desk.multipart.complete(ANN, place(upload), parts) for _ in range(2)]
    assert answers == [upload, upload]


async def test_whoever_waits_is_told_where_parts_became_one_object(here: Desk) -> None:
    told: list[Key] = []

    async def arrived(staging_key: Key) -> None:
        told.append(staging_key)

    upload = await begun(here)
    parts = [await send(here, upload, 1, JPEG)]
    multipart = MultipartUploads(
        database=here.database,
        objects=here.storage,
        limits=here.limits,
        ids=here.ids,
        ttl=TTL,
        arrived=arrived,
    )
    await multipart.complete(ANN, place(upload), parts)
    assert told == [upload.staging_key]


async def test_complete_gives_up_parts_of_more_bytes_than_declared(desk: Desk) -> None:
    """As a client may send to S3, which signs no limit of all parts."""
    upload = await desk.uploads.issue_parts(ANN, UploadRequest("cat.jpg", "image/jpeg", size=len(FIRST) + 3))
    parts = [await send(desk, upload, 1, FIRST), await send(desk, upload, 2, b" end")]
    with pytest.raises(FileTooLarge, match=f"at most {len(FIRST) + 3} bytes together, got {len(FIRST) + 4}"):
        await desk.multipart.complete(ANN, place(upload), parts)
    assert [each async for each in desk.storage.multipart.list()] == []
    with pytest.raises(UploadNotFound):
        await desk.multipart.complete(ANN, place(upload), parts[:1])
    await desk.settle()
    assert await desk.stored() == []


async def test_sign_binds_the_declared_size_or_the_collections_limit(here: Desk) -> None:
    for request, limit in (({"size": 7}, 7), ({}, 20 * 1024**2), ({"category": "avatars"}, 2 * 1024**2)):
        upload = await here.uploads.issue_parts(ANN, UploadRequest("cat.jpg", "image/jpeg", **request))  # type: ignore[arg-type]
        signed = await here.multipart.sign(ANN, place(upload), number=1)
        assert f"&limit={limit}&" in signed.url


async def claimed(desk: Desk, upload: Upload) -> None:
    """Somebody has begun to register it, and died."""
    lease = new_lease(desk.ids, upload.tenant)
    await desk.database.write(lambda record: acquire(record, upload, lease, now=desk.clock()))


@pytest.mark.parametrize("later", [0, LEASE_MS + 1])
async def test_completing_again_what_somebody_registers_is_answered(desk: Desk, later: int) -> None:
    upload = await begun(desk)
    parts = [await send(desk, upload, 1, JPEG)]
    await desk.multipart.complete(ANN, place(upload), parts)
    await claimed(desk, upload)
    desk.clock.now += later
    assert (await desk.multipart.complete(ANN, place(upload), parts)).id == upload.id


async def test_what_its_registrar_left_behind_can_be_given_up(desk: Desk) -> None:
    upload = await begun(desk)
    await claimed(desk, upload)
    with pytest.raises(Conflict):
        await desk.multipart.abort(ANN, place(upload))
    desk.clock.now += LEASE_MS + 1
    await desk.multipart.abort(ANN, place(upload))
    kept = await desk.upload(upload)
    assert kept is not None
    assert kept.state is UploadState.ABORTED


async def test_completing_what_is_a_file_is_answered_too(here: Desk) -> None:
    upload = await begun(here)
    parts = [await send(here, upload, 1, JPEG)]
    await here.multipart.complete(ANN, place(upload), parts)
    await here.register(upload)
    assert (await here.multipart.complete(ANN, place(upload), parts)).state is UploadState.CONSUMED


async def test_what_was_not_completed_cannot_be_registered(here: Desk) -> None:
    upload = await begun(here)
    await send(here, upload, 1, JPEG)
    with pytest.raises(FileNotFound):
        await here.register(upload)


async def test_what_is_given_up_leaves_nothing(desk: Desk) -> None:
    upload = await begun(desk)
    await send(desk, upload, 1, JPEG)
    await desk.multipart.abort(ANN, place(upload))
    await desk.drain()
    assert [each async for each in desk.storage.multipart.list()] == []
    await desk.settle()
    assert await desk.stored() == []
    with pytest.raises(UploadExpired):
        await desk.register(upload)


async def test_what_is_given_up_once_whole_leaves_nothing(here: Desk) -> None:
    upload = await begun(here)
    await here.multipart.complete(ANN, place(upload), [await send(here, upload, 1, JPEG)])
    await here.multipart.abort(ANN, place(upload))
    await here.drain()
    assert await here.stored() == []


async def test_parts_are_thrown_away_again_when_no_url_is_good_any_more(here: Desk) -> None:
    upload = await begun(here)
    await here.multipart.abort(ANN, place(upload))
    await here.drain()
    here.clock.now = upload.url_expires_at + AFTER_URL_MS
    assert sorted(task.kind for task in await here.drain()) == ["abort", "delete"]


async def test_giving_up_twice_is_answered_twice(desk: Desk) -> None:
    upload = await begun(desk)
    await desk.multipart.abort(ANN, place(upload))
    await desk.multipart.abort(ANN, place(upload))
    kept = await desk.upload(upload)
    assert kept is not None
    assert kept.state is UploadState.ABORTED


async def test_what_is_a_file_cannot_be_given_up(desk: Desk) -> None:
    upload = await begun(desk)
    await desk.multipart.complete(ANN, place(upload), [await send(desk, upload, 1, JPEG)])
    file = await desk.register(upload)
    with pytest.raises(Conflict):
        await desk.multipart.abort(ANN, place(upload))
    await desk.settle()
    assert await desk.stored() == [file.object_key]


@pytest.mark.parametrize("principal", [BOB, ELSEWHERE, NOBODY])
async def test_somebody_else_s_upload_is_not_there(here: Desk, principal: object) -> None:
    who = here.multipart, principal
    upload = await begun(here)
    parts = [await send(here, upload, 1, JPEG)]
    for refused in (
        who[0].sign(principal, place(upload), number=1),  # type: ignore[arg-type]
        who[0].parts(principal, place(upload)),  # type: ignore[arg-type]
        who[0].complete(principal, place(upload), parts),  # type: ignore[arg-type]
        who[0].abort(principal, place(upload)),  # type: ignore[arg-type]
    ):
        with pytest.raises(UploadNotFound):
            await refused


async def test_a_secret_key_goes_on_with_a_user_s_upload(here: Desk) -> None:
    upload = await begun(here)
    assert await here.multipart.parts(ACME_ITSELF, place(upload)) == []


async def test_an_upload_is_known_by_its_id_and_its_key(here: Desk) -> None:
    upload = await begun(here)
    single = await here.issue()
    for other in (
        replace(place(upload), key=Key("images/other/cat.jpg")),
        replace(place(upload), id=UploadId("0199b6c4-5a51-7c3e-9f0e-2b8f6f1d7a10")),
        place(single),
    ):
        with pytest.raises(UploadNotFound):
            await here.multipart.parts(ANN, other)


@pytest.mark.parametrize("call", ["multipart.parts", "multipart.complete", "multipart.presign"])
async def test_storage_that_fails_can_be_asked_again(database: Database, call: str) -> None:
    storage = BrokenStorage(only=(call,))
    desk = Desk(database, storage)
    upload = await begun(desk)
    parts = [await send(desk, upload, 1, JPEG)]
    for again in (False, True):
        asked = {
            "multipart.parts": lambda: desk.multipart.parts(ANN, place(upload)),
            "multipart.complete": lambda: desk.multipart.complete(ANN, place(upload), parts),
            "multipart.presign": lambda: desk.multipart.sign(ANN, place(upload), number=1),
        }[call]
        if again:
            storage.error = None
            assert await asked()
        else:
            with pytest.raises(StorageFailed):
                await asked()
