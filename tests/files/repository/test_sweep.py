"""Tests of object keys that rows name and of orphan candidates, on both engines."""

from __future__ import annotations

from imgproxy.files.database import Connection, Database
from imgproxy.files.model import FileState, Orphan, UploadState
from imgproxy.files.repository import sweep
from imgproxy.files.repository.files import insert_file
from imgproxy.files.repository.uploads import insert_upload
from imgproxy.image.source import Key
from tests.files.samples import NOW, file, upload

A, B, C = (Orphan(Key(name), NOW, 5_000_000_000) for name in "abc")


async def test_referenced_keys_are_those_of_files_and_open_uploads(database: Database) -> None:
    ready, deleted, purged = (file(state=state) for state in FileState)
    issued, ended = upload(), upload(state=UploadState.CONSUMED, url_expires_at=NOW)
    lost = Key("files/acme/1/lost")

    def work(record: Connection) -> tuple[set[Key], set[Key]]:
        for each in (ready, deleted, purged):
            insert_file(record, each)
        for one in (issued, ended):
            insert_upload(record, one)
        asked = [ready.object_key, deleted.object_key, purged.object_key, lost]
        asked += [issued.staging_key, ended.staging_key]
        return (
            sweep.referenced_keys(record, asked, ended_before=NOW),
            sweep.referenced_keys(record, asked, ended_before=NOW + 1),
        )

    early, late = await database.write(work)
    assert late == {ready.object_key, deleted.object_key, issued.staging_key}
    assert early == late | {ended.staging_key}


async def test_file_objects_are_in_order_between_two_bounds(database: Database) -> None:
    made = [file(object_key=Key(f"files/acme/{letter}")) for letter in "adbcB"]
    gone = file(object_key=Key("files/acme/bb"), state=FileState.PURGED)

    def work(record: Connection) -> list[str]:
        for each in (*made, gone):
            insert_file(record, each)
        found = sweep.file_objects(record, after="files/acme/B", upto="files/acme/c", limit=2)
        assert sweep.is_file_object(record, found[0])
        return [each.object_key for each in found]

    assert await database.write(work) == ["files/acme/a", "files/acme/b"]


async def test_insert_orphan_again_keeps_the_first_time(database: Database) -> None:
    await database.write(lambda c: sweep.insert_orphan(c, A))
    await database.write(lambda c: sweep.insert_orphan(c, Orphan(A.object_key, NOW + 5, 1)))
    assert await database.read(lambda c: sweep.orphan_by_key(c, A.object_key)) == A


async def test_list_orphans_pages_and_remove_orphans_removes(database: Database) -> None:
    def work(connection: Connection) -> None:
        for each in (C, A, B):
            sweep.insert_orphan(connection, each)

    await database.write(work)
    assert await database.read(lambda c: sweep.list_orphans(c, limit=2)) == [A, B]
    assert await database.read(lambda c: sweep.list_orphans(c, after="b")) == [C]
    await database.write(lambda c: sweep.remove_orphans(c, [A.object_key, C.object_key]))
    assert await database.read(sweep.list_orphans) == [B]
