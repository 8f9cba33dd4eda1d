"""`imgproxy sweep`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from imgproxy.cli import main
from imgproxy.cli.sweep import sweep, told
from imgproxy.errors import Unavailable
from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.model import File
from imgproxy.files.repository.files import insert_file
from imgproxy.files.sweep import Findings
from imgproxy.settings import Settings
from imgproxy.storage.local import LocalOptions
from tests.files import samples


@pytest.fixture
def lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An object that no record names, of a deployment whose record is empty."""
    monkeypatch.setenv("IMGPROXY_STORAGE", f"file://{tmp_path}/objects")
    monkeypatch.setenv("IMGPROXY_DATABASE", f"sqlite:///{tmp_path}/record.db")
    path = tmp_path / "objects/files/acme/1/lost"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"12345")
    asyncio.run(_record(tmp_path))
    return path


async def _record(folder: Path, *files: File) -> None:
    database = await open_database(SqliteUrl(folder / "record.db"))
    await database.migrate()
    for file in files:
        await database.write(lambda record, file=file: insert_file(record, file))
    await database.close()


def test_the_command_tells_what_it_found_and_fails_where_bytes_are_missing(
    lost: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = samples.file()
    asyncio.run(_record(tmp_path, file))
    assert main(["sweep", "--dry-run"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "1 objects looked at"
    assert out.splitlines()[1].startswith("1 that no record names")
    assert out.splitlines()[-1] == f"  acme {file.id} {file.key}"
    assert "files/ 1 objects" in err
    assert lost.exists()


def test_where_no_bytes_are_missing_it_succeeds_and_a_new_stranger_stays(
    lost: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 files whose bytes are not there"
    assert lost.exists()


def test_without_tables_it_says_what_to_do(
    lost: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMGPROXY_DATABASE", f"sqlite:///{tmp_path}/another.db")
    assert main(["sweep"]) == 1
    out, err = capsys.readouterr()
    assert (out, "imgproxy migrate" in err, err.count("\n")) == ("", True, 1)


async def test_a_record_without_tables_is_not_swept_by(tmp_path: Path) -> None:
    settings = Settings(
        storage=LocalOptions(tmp_path / "objects"), database=SqliteUrl(tmp_path / "record.db")
    )
    with pytest.raises(Unavailable, match="migrate"):
        await sweep(settings, dry=False, say=lambda _: None)


@pytest.mark.parametrize(("dry", "word"), [(True, "would be removed"), (False, "removed")])
def test_a_dry_run_says_that_nothing_was_done(dry: bool, word: str) -> None:
    lines = told(Findings(removed=2, removed_bytes=10), dry=dry)
    assert lines[2] == f"2 that no record has named for an hour, 10 bytes: {word}"
