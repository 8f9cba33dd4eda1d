"""Promises of `imgproxy.files.repository.uploads`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from imgproxy.errors import KeyExists
from imgproxy.files.database import Connection, Database
from imgproxy.files.model import FileId, Upload, UploadId, UploadState
from imgproxy.files.repository import uploads
from imgproxy.image.source import Key
from tests.files.samples import ACME, NOW, OTHER, upload

FULL = upload(
    declared_type="image/jpeg",
    declared_size=5_000_000_000,
    category="cats",
    storage_upload="s3-upload",
    file_id=FileId("file"),
    claimed_at=NOW,
    state=UploadState.COMPLETING,
)

MINE, THEIRS = FileId("1"), FileId("2")
HELD = upload(state=UploadState.COMPLETING, file_id=MINE, claimed_at=NOW)


@pytest.mark.parametrize("given", [upload(), FULL], ids=["least", "full"])
async def test_what_is_kept_comes_back_the_same(database: Database, given: Upload) -> None:
    await database.write(lambda c: uploads.insert_upload(c, given))
    assert await database.read(lambda c: uploads.upload_by_id(c, ACME, given.id)) == given
    assert await database.read(lambda c: uploads.upload_by_key(c, ACME, given.key)) == given
    assert await database.read(lambda c: uploads.upload_by_staging_key(c, given.staging_key)) == given


async def test_another_tenants_upload_is_not_there(database: Database) -> None:
    given = upload()
    await database.write(lambda c: uploads.insert_upload(c, given))
    assert await database.read(lambda c: uploads.upload_by_id(c, OTHER, given.id)) is None
    assert await database.read(lambda c: uploads.upload_by_key(c, OTHER, given.key)) is None


@pytest.mark.parametrize("same", ["id", "key", "staging_key"])
async def test_no_two_uploads_share_a_name_and_the_transaction_goes_on(database: Database, same: str) -> None:
    first, second, third = upload(), upload(), upload()
    second = replace(second, **{same: getattr(first, same)})

    def work(connection: Connection) -> None:
        uploads.insert_upload(connection, first)
        with pytest.raises(KeyExists):
            uploads.insert_upload(connection, second)
        uploads.insert_upload(connection, third)

    await database.write(work)
    assert await database.read(lambda c: uploads.upload_by_id(c, ACME, third.id)) == third


async def test_of_many_claims_at_once_one_wins(database: Database) -> None:
    given = upload()
    await database.write(lambda c: uploads.insert_upload(c, given))

    def claim(connection: Connection) -> Upload | None:
        return uploads.transition_upload(
            connection,
            ACME,
            given.id,
            from_states=[UploadState.ISSUED],
            to=UploadState.COMPLETING,
            now=NOW,
        )

    claimed = await asyncio.gather(*(database.write(claim) for _ in range(8)))
    won = [each for each in claimed if each is not None]
    assert won == [replace(given, state=UploadState.COMPLETING, claimed_at=NOW)]


async def test_a_claim_of_another_tenant_changes_nothing(database: Database) -> None:
    given = upload()
    await database.write(lambda c: uploads.insert_upload(c, given))
    states = [UploadState.ISSUED]
    claimed = await database.write(
        lambda c: uploads.transition_upload(
            c, OTHER, given.id, from_states=states, to=UploadState.ABORTED, now=NOW
        )
    )
    assert claimed is None
    assert await database.read(lambda c: uploads.upload_by_id(c, ACME, given.id)) == given


@pytest.mark.parametrize(("claimed_at", "taken"), [(NOW - 1, True), (NOW, False)])
async def test_a_claim_is_taken_over_once_it_is_stale(
    database: Database, claimed_at: int, taken: bool
) -> None:
    given = upload(state=UploadState.COMPLETING, claimed_at=claimed_at)
    await database.write(lambda c: uploads.insert_upload(c, given))
    claimed = await database.write(
        lambda c: uploads.transition_upload(
            c, ACME, given.id, from_states=[], to=UploadState.COMPLETING, now=NOW + 5, stale_before=NOW
        )
    )
    assert claimed == (replace(given, claimed_at=NOW + 5) if taken else None)


async def test_a_consumed_upload_says_what_it_became(database: Database) -> None:
    given = upload(state=UploadState.COMPLETING, claimed_at=NOW)
    await database.write(lambda c: uploads.insert_upload(c, given))
    claimed = await database.write(
        lambda c: uploads.transition_upload(
            c,
            ACME,
            given.id,
            from_states=[UploadState.COMPLETING],
            to=UploadState.CONSUMED,
            now=NOW,
            file_id=FileId("file"),
        )
    )
    assert claimed == replace(given, state=UploadState.CONSUMED, claimed_at=None, file_id=FileId("file"))


async def test_a_multipart_upload_is_named_while_it_is_issued(database: Database) -> None:
    given, ended = upload(), upload(state=UploadState.ABORTED)

    def work(connection: Connection) -> tuple[bool, bool]:
        uploads.insert_upload(connection, given)
        uploads.insert_upload(connection, ended)
        return (
            uploads.set_storage_upload(connection, ACME, given.id, "s3"),
            uploads.set_storage_upload(connection, ACME, ended.id, "s3"),
        )

    assert await database.write(work) == (True, False)
    found = await database.read(lambda c: uploads.upload_by_id(c, ACME, given.id))
    assert found == replace(given, storage_upload="s3")


@pytest.mark.parametrize(("until", "kept"), [(NOW + 1, NOW + 900_000), (NOW + 900_001, NOW + 900_001)])
async def test_an_uploads_end_only_moves_on(database: Database, until: int, kept: int) -> None:
    given = upload()
    await database.write(lambda c: uploads.insert_upload(c, given))
    assert await database.write(lambda c: uploads.extend_upload(c, ACME, given.id, until))
    found = await database.read(lambda c: uploads.upload_by_id(c, ACME, given.id))
    assert found == replace(given, url_expires_at=kept)


async def test_an_upload_that_has_ended_is_not_extended(database: Database) -> None:
    given = upload(state=UploadState.CONSUMED)
    await database.write(lambda c: uploads.insert_upload(c, given))
    assert not await database.write(lambda c: uploads.extend_upload(c, ACME, given.id, NOW + 10**9))


async def test_open_uploads_past_their_end_are_listed_oldest_first_page_by_page(database: Database) -> None:
    past = [upload(url_expires_at=NOW + each // 2, tenant=(ACME, OTHER)[each % 2]) for each in range(6)]
    others = [upload(url_expires_at=NOW + 3), upload(url_expires_at=NOW, state=UploadState.CONSUMED)]

    def work(connection: Connection) -> None:
        for each in (*reversed(past), *others):
            uploads.insert_upload(connection, each)

    await database.write(work)
    first = await database.read(lambda c: uploads.expired_uploads(c, before=NOW + 3, limit=4))
    rest = await database.read(lambda c: uploads.expired_uploads(c, before=NOW + 3, after=first[-1]))
    found = [*first, *rest]
    assert found == sorted(past, key=lambda each: (each.url_expires_at, each.id))


async def test_a_forgotten_upload_is_gone_and_only_its_tenant_forgets_it(database: Database) -> None:
    given = upload()
    await database.write(lambda c: uploads.insert_upload(c, given))
    await database.write(lambda c: uploads.delete_upload(c, OTHER, given.id))
    assert await database.read(lambda c: uploads.upload_by_id(c, ACME, given.id)) == given
    await database.write(lambda c: uploads.delete_upload(c, ACME, given.id))
    assert await database.read(lambda c: uploads.upload_by_id(c, ACME, UploadId(given.id))) is None


def end(record: Connection, given: Upload, holder: FileId, to: UploadState) -> tuple[bool, Upload | None]:
    uploads.insert_upload(record, given)
    ended = uploads.end_upload_lease(record, given.tenant, given.id, holder=holder, to=to)
    return ended, uploads.upload_by_id(record, given.tenant, given.id)


async def test_end_upload_lease_by_its_holder_moves_the_upload(database: Database) -> None:
    ended, kept = await database.write(lambda record: end(record, HELD, MINE, UploadState.CONSUMED))
    assert kept is not None
    assert (ended, kept.state, kept.file_id, kept.claimed_at) == (True, UploadState.CONSUMED, MINE, None)


async def test_end_upload_lease_back_to_issued_clears_the_file(database: Database) -> None:
    ended, kept = await database.write(lambda record: end(record, HELD, MINE, UploadState.ISSUED))
    assert kept is not None
    assert (ended, kept.state, kept.file_id) == (True, UploadState.ISSUED, None)


async def test_end_upload_lease_by_another_changes_nothing(database: Database) -> None:
    ended, kept = await database.write(lambda record: end(record, HELD, THEIRS, UploadState.ISSUED))
    assert (ended, kept) == (False, HELD)


async def test_end_upload_lease_of_a_consumed_upload_changes_nothing(database: Database) -> None:
    over = upload(state=UploadState.CONSUMED, file_id=MINE)
    ended, kept = await database.write(lambda record: end(record, over, MINE, UploadState.ISSUED))
    assert (ended, kept) == (False, over)


async def test_upload_of_any_tenant_returns_the_upload_of_a_key(database: Database) -> None:
    given = upload(tenant=OTHER)

    def work(record: Connection) -> list[Upload | None]:
        uploads.insert_upload(record, given)
        return [
            uploads.upload_of_any_tenant(record, given.key),
            uploads.upload_of_any_tenant(record, Key("images/none")),
        ]

    assert await database.write(work) == [given, None]
