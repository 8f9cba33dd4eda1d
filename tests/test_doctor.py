"""Whatever a deployment lacks is one line that says so; the exit status says whether it will serve."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import http_parser

from imgproxy import app, doctor
from imgproxy.engine.worker_protocol import Ready
from imgproxy.errors import EngineFailed
from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.image.formats import TRAITS, Format
from imgproxy.settings import Settings
from imgproxy.storage.local import LocalOptions
from imgproxy.storage.memory import MemoryOptions

LOCKS = ("no-new-privileges", "rlimits", "landlock", "seccomp")


@dataclass
class Workers:
    """A pool that only says what its workers are, or that there are none."""

    ready: Ready
    error: EngineFailed | None = None
    closed: bool = False

    async def start(self) -> None:
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    """What the doctor starts instead of processes; sound unless a test changes it."""
    workers = Workers(Ready("libvips 8.18.7", LOCKS, tuple(TRAITS)))
    monkeypatch.setattr(app, "make_pool", lambda *_, **__: workers)
    return workers


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        storage=MemoryOptions(), cache_dir=tmp_path / "cache", signing_secrets=("s3cret-of-20-letters",)
    )


async def examined(settings: Settings) -> tuple[int, dict[str, str]]:
    """The exit status, and the lines by their subjects."""
    lines: list[str] = []
    status = await doctor.examine(settings, lines.append)
    return status, {line[6:18].strip(): line for line in lines}


async def test_a_sound_deployment_is_told_in_one_line_each(settings: Settings, workers: Workers) -> None:
    status, lines = await examined(settings)
    assert status == 0
    subjects = [
        "libvips",
        "readers",
        "sandbox",
        "storage",
        "database",
        "cache",
        "open files",
        "http",
        "signatures",
    ]
    assert list(lines) == subjects
    assert lines["libvips"] == f"ok    libvips      libvips 8.18.7, reads {' '.join(Format)}"
    assert lines["readers"].startswith(
        "ok    readers      libvips: jpeg png webp avif gif tiff svg; heic: heic"
    )
    full = "full: no-new-privileges, rlimits, landlock, seccomp; 768 MiB of memory a worker"
    assert lines["sandbox"] == f"ok    sandbox      {full}"
    assert workers.closed


@pytest.mark.parametrize(
    ("held", "without", "by"),
    [
        (LOCKS[:3], "seccomp: seccomp needs libseccomp.so.2", "no-new-privileges, rlimits, landlock"),
        ((), ", ".join(LOCKS), "nothing"),
    ],
)
async def test_locks_that_are_missing_are_named_and_do_not_fail(
    settings: Settings, workers: Workers, held: tuple[str, ...], without: str, by: str
) -> None:
    workers.ready = Ready("libvips 8.18.7", held, tuple(TRAITS))
    status, lines = await examined(settings)
    assert status == 0
    assert lines["sandbox"].startswith(f"note  sandbox      the sandbox of workers lacks {without}")
    assert lines["sandbox"].endswith(f"held by {by}")


async def test_locks_that_are_missing_fail_where_imgproxy_sandbox_requires_them(
    settings: Settings, workers: Workers
) -> None:
    workers.ready = Ready("libvips 8.18.7", (*LOCKS[:2], "seccomp"), tuple(TRAITS))
    status, lines = await examined(settings.model_copy(update={"sandbox": "require"}))
    assert status == 1
    assert lines["sandbox"].startswith(
        "FAIL  sandbox      the sandbox of workers lacks landlock: landlock needs Linux"
    )


async def test_types_that_cannot_be_read_are_named_and_do_not_fail(
    settings: Settings, workers: Workers
) -> None:
    workers.ready = Ready("libvips 8.15", LOCKS, ("jpeg", "png", "webp", "gif", "tiff"))
    status, lines = await examined(settings)
    assert status == 0
    assert lines["libvips"].startswith("note  libvips")
    assert lines["libvips"].endswith("; cannot read avif svg heic bmp ico jp2 jxl pdf")


async def test_workers_that_cannot_start_fail_and_the_rest_is_looked_at(
    settings: Settings, workers: Workers
) -> None:
    workers.error = EngineFailed("libvips 8.14 is too old")
    status, lines = await examined(settings)
    assert status == 1
    assert lines["workers"] == "FAIL  workers      libvips 8.14 is too old"
    assert lines["signatures"].startswith("ok")
    assert workers.closed


async def test_a_low_limit_of_open_files_is_told_with_what_would_do(settings: Settings) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, hard))
    try:
        status, lines = await examined(settings)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert status == 0
    assert lines["open files"].startswith("note  open files   at most 1000: raise it to 4096 or more")


async def test_a_cache_folder_that_can_be_made_is_not_made_by_asking(settings: Settings) -> None:
    _, lines = await examined(settings)
    assert lines["cache"].startswith("ok    cache")
    assert not settings.cache_dir.exists()


async def test_a_cache_folder_that_cannot_be_written_fails(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (Path("/proc/cache"), tmp_path / "file", tmp_path / "file" / "cache"):
        status, lines = await examined(settings.model_copy(update={"cache_dir": folder}))
        assert status == 1
        assert lines["cache"].startswith(f"FAIL  cache        {folder} cannot be written: ")


async def test_without_secrets_it_says_what_anybody_may_do(settings: Settings) -> None:
    status, lines = await examined(settings.model_copy(update={"signing_secrets": ()}))
    assert status == 0
    assert lines["signatures"].startswith("note  signatures   no secrets: ")


async def test_secrets_are_counted_and_not_shown(settings: Settings) -> None:
    _, lines = await examined(settings)
    assert lines["signatures"].startswith("ok    signatures   1 ")
    assert "s3cret" not in "".join(lines.values())


async def test_the_slow_parser_of_http_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    status, lines = await examined(settings)
    assert status == 1
    assert lines["http"].startswith("FAIL  http")


async def test_a_record_that_is_not_there_is_made_later_and_not_by_asking(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "record.db"
    status, lines = await examined(settings.model_copy(update={"database": SqliteUrl(path)}))
    assert (status, lines["database"][:4]) == (0, "ok  ")
    assert not path.parent.exists()


async def test_a_record_of_this_version_is_sound(settings: Settings, tmp_path: Path) -> None:
    address = SqliteUrl(tmp_path / "record.db")
    database = await open_database(address)
    await database.migrate()
    await database.close()
    _, lines = await examined(settings.model_copy(update={"database": address}))
    assert lines["database"] == "ok    database     reachable, its tables are of this version"


async def test_a_record_without_tables_is_noted(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    path.touch()
    status, lines = await examined(settings.model_copy(update={"database": SqliteUrl(path)}))
    assert (status, lines["database"][:4]) == (0, "note")


async def test_a_record_that_cannot_be_read_fails(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    path.write_bytes(b"no database" * 1000)
    status, lines = await examined(settings.model_copy(update={"database": SqliteUrl(path)}))
    assert (status, lines["database"][:4]) == (1, "FAIL")


async def test_short_secrets_are_named_and_not_shown(settings: Settings) -> None:
    short = settings.model_copy(update={"signing_secrets": ("hunter22",), "purge_secret": ""})
    status, lines = await examined(short)
    assert status == 0
    assert lines["secrets"].startswith("note  secrets      IMGPROXY_SIGNING_SECRETS: ")
    assert "hunter22" not in "".join(lines.values())


def test_files_that_others_can_read_are_named_with_their_mode(settings: Settings, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    record = tmp_path / "record.db"
    cache = tmp_path / "cache"
    parts = tmp_path / "objects" / ".parts"
    parts.mkdir(parents=True)
    cache.mkdir()
    for path, mode in ((record, 0o644), (cache, 0o755), (parts, 0o750)):
        path.touch()
        path.chmod(mode)
    update = {"database": SqliteUrl(record), "storage": LocalOptions(tmp_path / "objects")}
    open_ = settings.model_copy(update=update)
    assert [(each.level, each.text.partition(" lets")[0]) for each in doctor.weaknesses(open_)] == [
        ("note", f"{record}: mode 0644"),
        ("note", f"{cache}: mode 0755"),
        ("note", f"{parts}: mode 0750"),
    ]
    for path in (record, cache, parts):
        path.chmod(path.stat().st_mode & 0o700)
    assert list(doctor.weaknesses(open_)) == []
