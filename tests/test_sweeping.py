"""`imgproxy sweep`, as it is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgproxy.errors import Unavailable
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.sweep import Findings
from imgproxy.settings import Settings
from imgproxy.storage.local import LocalOptions
from imgproxy.sweeping import sweep, told


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
