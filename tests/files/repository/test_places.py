"""Promises of `imgproxy.files.repository.places`."""

from __future__ import annotations

from imgproxy.files.database import Connection, Database
from imgproxy.files.model import FileState, UploadState
from imgproxy.files.repository.files import insert_file
from imgproxy.files.repository.places import is_place_of_file, places_named, places_of_files
from imgproxy.files.repository.uploads import insert_upload
from imgproxy.image.source import Key
from tests.files.samples import NOW, file, upload


async def test_places_of_files_and_of_open_uploads_are_named(database: Database) -> None:
    ready, deleted, purged = (file(state=state) for state in FileState)
    issued, ended = upload(), upload(state=UploadState.CONSUMED, url_expires_at=NOW)
    nobodys = Key("files/acme/1/lost")

    def work(record: Connection) -> tuple[set[Key], set[Key]]:
        for each in (ready, deleted, purged):
            insert_file(record, each)
        for one in (issued, ended):
            insert_upload(record, one)
        asked = [ready.object_key, deleted.object_key, purged.object_key, nobodys]
        asked += [issued.staging_key, ended.staging_key]
        return (
            places_named(record, asked, ended_before=NOW),
            places_named(record, asked, ended_before=NOW + 1),
        )

    early, late = await database.write(work)
    assert late == {ready.object_key, deleted.object_key, issued.staging_key}
    assert early == late | {ended.staging_key}


async def test_places_are_read_in_order_between_two_bounds(database: Database) -> None:
    made = [file(object_key=Key(f"files/acme/{letter}")) for letter in "adbcB"]
    gone = file(object_key=Key("files/acme/bb"), state=FileState.PURGED)

    def work(record: Connection) -> list[str]:
        for each in (*made, gone):
            insert_file(record, each)
        found = places_of_files(record, after="files/acme/B", upto="files/acme/c", limit=2)
        assert is_place_of_file(record, found[0])
        return [place.object_key for place in found]

    assert await database.write(work) == ["files/acme/a", "files/acme/b"]
