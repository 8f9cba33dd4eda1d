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
    InvalidFormat,
    InvalidRequest,
    KeyExists,
    UploadExpired,
)
from imgproxy.files.model import Owner, UploadState, Visibility
from imgproxy.files.repository.uploads import transition_upload
from tests.files.uploading import (
    ACME_ITSELF,
    BOB,
    BROKEN_JPEG,
    ELSEWHERE,
    JPEG,
    NOBODY,
    NOW,
    TEXT,
    Desk,
)


async def test_a_registered_upload_is_a_file_with_the_facts_of_its_bytes(desk: Desk) -> None:
    upload = await desk.uploaded()
    file = await desk.register(upload, alt="a cat", metadata={"camera": "X100"}, tags=("cat",))
    assert (file.size, file.mime_type, file.width, file.height) == (len(JPEG), "image/jpeg", 40, 20)
    assert (file.key, file.owner, file.collection) == (upload.key, Owner("user", "ann"), "images")
    assert (file.alt, file.metadata, file.tags) == ("a cat", {"camera": "X100"}, ("cat",))
    assert await desk.file(upload.key) == file


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
        lambda record: transition_upload(
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


@pytest.mark.parametrize(
    ("size", "wish"), [(2 * 1024**2 + 1, {"category": "avatars"}), (len(JPEG) + 1, {"size": len(JPEG)})]
)
async def test_register_removes_more_bytes_than_declared_or_allowed_at_once(
    here: Desk, size: int, wish: dict[str, Any]
) -> None:
    """As a client may send to S3, which cannot sign the limit of a PUT."""
    upload = await here.uploaded(JPEG.ljust(size, b"."), **wish)
    with pytest.raises(FileTooLarge):
        await here.register(upload, size=size)
    assert await here.stored() == []
    await here.put(upload.staging_key)
    assert (await here.register(upload)).size == len(JPEG)


async def test_register_keeps_bytes_whose_size_the_client_told_wrongly(here: Desk) -> None:
    upload = await here.uploaded()
    with pytest.raises(FileTooLarge):
        await here.register(upload, size=len(JPEG) - 1)
    assert await here.stored() == [upload.staging_key]


async def test_after_a_refusal_other_bytes_may_be_put_and_registered(desk: Desk) -> None:
    upload = await desk.uploaded(TEXT)
    with pytest.raises(InvalidFormat):
        await desk.register(upload, size=len(TEXT))
    await desk.put(upload.staging_key)
    file = await desk.register(upload)
    await desk.settle()
    assert await desk.stored() == [file.object_key]
