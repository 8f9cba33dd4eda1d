"""FileReader files, and URLs to their bytes."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from imgproxy.errors import AccessDenied, FileNotFound
from imgproxy.files.model import Share, Visibility
from imgproxy.files.policy import Action
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.reading import FileReader, find
from imgproxy.storage.memory import MemoryStorage
from tests.files.keeping import UNKNOWN, Keeping
from tests.files.uploading import ACME, ACME_ITSELF, ANN, BOB, ELSEWHERE, NOBODY, NOW, TEXT

EDITOR = Principal(ACME, Kind.USER, user="rita", role="editor")


@pytest.mark.parametrize(
    ("visibility", "sees"),
    [
        (Visibility.PUBLIC, [ANN, BOB, EDITOR, NOBODY, ACME_ITSELF]),
        (Visibility.PROTECTED, [ANN, BOB, EDITOR, ACME_ITSELF]),
        (Visibility.SHARED, [ANN, EDITOR, ACME_ITSELF]),
        (Visibility.PRIVATE, [ANN, ACME_ITSELF]),
    ],
)
async def test_a_file_is_there_for_those_who_may_see_it(
    keeping: Keeping, visibility: Visibility, sees: list[Principal]
) -> None:
    file = await keeping.file(visibility=visibility)
    await keeping.changes.share(ANN, file.id, [Share("role", "editor")])
    for principal in (ANN, BOB, EDITOR, NOBODY, ACME_ITSELF, ELSEWHERE):
        for read in (keeping.reading.get, keeping.reading.download):
            if principal in sees:
                await read(principal, file.id)
                continue
            with pytest.raises(FileNotFound):
                await read(principal, file.id)


async def test_a_share_that_has_ended_shows_nothing(keeping: Keeping) -> None:
    file = await keeping.file(visibility=Visibility.SHARED)
    await keeping.changes.share(ANN, file.id, [Share("user", "bob", NOW + 1000)])
    keeping.desk.clock.now = NOW + 999
    assert await keeping.reading.get(BOB, file.id) == file
    keeping.desk.clock.now = NOW + 1000
    with pytest.raises(FileNotFound):
        await keeping.reading.get(BOB, file.id)


async def test_a_deleted_file_is_shown_to_its_owner_who_asks_for_it_so(one: Keeping) -> None:
    file = await one.deleted()
    with pytest.raises(FileNotFound):
        await one.reading.get(ANN, file.id)
    assert await one.reading.get(ANN, file.id, deleted=True) == file
    with pytest.raises(FileNotFound):
        await one.reading.get(BOB, file.id, deleted=True)


async def test_bytes_of_a_deleted_file_are_given_to_nobody(one: Keeping) -> None:
    file = await one.deleted()
    for principal in (ANN, ACME_ITSELF):
        with pytest.raises(FileNotFound):
            await one.reading.download(principal, file.id)


async def test_what_is_not_there_is_not_found(one: Keeping) -> None:
    with pytest.raises(FileNotFound):
        await one.reading.get(ANN, UNKNOWN)


async def test_a_list_has_what_somebody_may_see_now(keeping: Keeping) -> None:
    shown, own, shared = [
        await keeping.file(visibility=each)
        for each in (Visibility.PUBLIC, Visibility.PRIVATE, Visibility.SHARED)
    ]
    await keeping.changes.share(ANN, shared.id, [Share("user", "bob", NOW + 1000)])
    await keeping.deleted()

    async def listed(principal: Principal) -> set[str]:
        return {file.id for file in (await keeping.reading.list(principal)).items}

    assert await listed(ANN) == {shown.id, own.id, shared.id}
    assert await listed(BOB) == {shown.id, shared.id}
    assert await listed(NOBODY) == {shown.id}
    assert await listed(ELSEWHERE) == set()
    keeping.desk.clock.now = NOW + 1000
    assert await listed(BOB) == {shown.id}


async def test_shares_are_the_owners_to_see(one: Keeping) -> None:
    file = await one.file(visibility=Visibility.SHARED)
    await one.changes.share(ANN, file.id, [Share("user", "bob")])
    assert await one.reading.shares(ANN, file.id) == (Share("user", "bob"),)
    with pytest.raises(AccessDenied):
        await one.reading.shares(BOB, file.id)
    with pytest.raises(FileNotFound):
        await one.reading.shares(EDITOR, file.id)


async def test_a_download_names_the_frozen_bytes_their_type_and_their_name(one: Keeping) -> None:
    file = await one.file(original_name="My cat.jpg")
    made = await one.reading.download(BOB, file.id)
    url = urlsplit(made.url)
    query = parse_qs(url.query)
    assert url.path == f"/-/{file.object_key}"
    assert query["type"] == ["image/jpeg"]
    assert query["disposition"] == ['attachment; filename="My cat.jpg"']
    assert (made.file, made.expires_in, made.expires_at) == (file, 3600, NOW + 3_600_000)


async def test_a_download_ends_when_it_is_told_to(one: Keeping) -> None:
    file = await one.file()
    made = await one.reading.download(ANN, file.id, ttl=60, disposition="inline")
    assert (made.expires_in, made.expires_at) == (60, NOW + 60_000)
    assert "disposition=inline" in made.url


async def test_download_ttl_is_at_most_that_of_the_deployment(one: Keeping) -> None:
    file = await one.file()
    made = await one.reading.download(ANN, file.id, ttl=3601)
    assert (made.expires_in, made.expires_at) == (3600, NOW + 3_600_000)


@pytest.mark.parametrize(("left_ms", "seconds"), [(90_000, 90), (1500, 1), (1, 1), (4_000_000, 3600)])
async def test_download_by_a_share_that_ends_is_no_longer_good_than_the_share(
    one: Keeping, left_ms: int, seconds: int
) -> None:
    file = await one.file(visibility=Visibility.SHARED)
    await one.changes.share(ANN, file.id, [Share("user", "bob", NOW + left_ms)])
    assert (await one.reading.download(BOB, file.id)).expires_in == seconds
    assert (await one.reading.download(ANN, file.id)).expires_in == 3600


async def test_download_through_us_names_the_file_and_its_generation(one: Keeping) -> None:
    storage, database = one.desk.storage, one.desk.database
    assert isinstance(storage, MemoryStorage)
    reading = FileReader(
        database=database, objects=storage, clock=one.desk.clock, ttl=60, url_signer=storage.url_signer
    )
    file = await one.file()
    made = await reading.download(ANN, file.id)
    signed = storage.url_signer.read("GET", made.url)
    assert (signed.key, signed.generation, signed.content_type) == (file.key, file.generation, "image/jpeg")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (TEXT, "inline"),
        (b"<html><script>alert(1)</script>", "attachment"),
        (b"\xef\xbb\xbf<!-- so --> <svg xmlns='http://www.w3.org/2000/svg'>", "attachment"),
        (b"<?xml version='1.0'?><?xml-stylesheet href='a.xsl'?><a/>", "attachment"),
    ],
)
async def test_download_of_markup_declared_as_plain_text_is_an_attachment(
    keeping: Keeping, body: bytes, kind: str
) -> None:
    wish = {"name": "a.txt", "mime_type": "text/plain", "category": "files"}
    upload = await keeping.desk.uploaded(body, **wish)
    file = await keeping.desk.register(upload, mime_type="text/plain", size=len(body))
    made = await keeping.reading.download(ANN, file.id, disposition="inline")
    assert parse_qs(urlsplit(made.url).query)["disposition"] == [f'{kind}; filename="cat.jpg"']


@pytest.mark.parametrize("lock", [False, True])
async def test_a_file_is_found_within_its_tenant_alone(keeping: Keeping, lock: bool) -> None:
    file = await keeping.file()
    database = keeping.desk.database
    assert (
        await database.write(lambda record: find(record, ANN, Action.GET, file.id, now=NOW, lock=lock))
        == file
    )
    for principal, id_ in ((ELSEWHERE, file.id), (ANN, UNKNOWN)):
        with pytest.raises(FileNotFound, match=r"^there is no such file$"):
            await database.write(
                lambda record, who=principal, which=id_: find(
                    record, who, Action.GET, which, now=NOW, lock=lock
                )
            )


async def test_find_with_lock_serves_many_callers(keeping: Keeping) -> None:
    file = await keeping.file()

    def work(record: object) -> int:
        return find(record, ANN, Action.PATCH, file.id, now=NOW, lock=True).row_version  # type: ignore[arg-type]

    versions = await asyncio.gather(*(keeping.desk.database.write(work) for _ in range(4)))
    assert versions == [file.row_version] * 4
