"""`imgproxy sweep`, as it is run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from imgproxy.cli import main
from imgproxy.errors import Unavailable
from imgproxy.files.address import SqliteAddress
from imgproxy.files.database import open_database
from imgproxy.files.repository.files import insert_file
from imgproxy.files.sweep import Findings
from imgproxy.settings import Settings
from imgproxy.storage.address import LocalAddress
from imgproxy.sweeping import sweep, told
from tests.files import samples


def test_the_command_tells_what_it_found_and_fails_where_bytes_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMGPROXY_STORAGE", f"file://{tmp_path}/objects")
    monkeypatch.setenv("IMGPROXY_DATABASE", f"sqlite:///{tmp_path}/record.db")
    lost, file = tmp_path / "objects/files/acme/1/lost", samples.file()
    lost.parent.mkdir(parents=True)
    lost.write_bytes(b"12345")

    async def prepare() -> None:
        database = await open_database(SqliteAddress(tmp_path / "record.db"))
        await database.migrate()
        await database.write(lambda record: insert_file(record, file))
        await database.close()

    asyncio.run(prepare())
    assert main(["sweep", "--dry-run"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "1 objects looked at"
    assert out.splitlines()[1].startswith("1 that no record names")
    assert out.splitlines()[-1] == f"  acme {file.id} {file.key}"
    assert "files/ 1 objects" in err
    assert lost.exists()


async def test_a_record_without_tables_is_not_swept_by(tmp_path: Path) -> None:
    settings = Settings(
        storage=LocalAddress(tmp_path / "objects"), database=SqliteAddress(tmp_path / "record.db")
    )
    with pytest.raises(Unavailable, match="migrate"):
        await sweep(settings, dry=False, say=lambda _: None)


@pytest.mark.parametrize(("dry", "word"), [(True, "would be removed"), (False, "removed")])
def test_a_dry_run_says_that_nothing_was_done(dry: bool, word: str) -> None:
    lines = told(Findings(removed=2, removed_bytes=10), dry=dry)
    assert lines[2] == f"2 that no record has named for an hour, 10 bytes: {word}"
