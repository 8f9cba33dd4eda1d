"""`imgproxy doctor`: what a deployment has and lacks, one line each, in an operator's words.

A line begins with `ok`, `note` (works, but weaker than it could) or `FAIL` (will not serve). The exit status
is 1 if any failed.
"""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aiohttp import http_parser

from imgproxy import app, file_modes
from imgproxy.engine import sandbox
from imgproxy.engine.worker_protocol import Ready
from imgproxy.errors import ImgproxyError, with_cause
from imgproxy.files import migrations
from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.image.formats import READERS, TRAITS
from imgproxy.masking import masked
from imgproxy.settings import Settings
from imgproxy.storage.local import PRIVATE_FOLDERS, LocalOptions

_FILES = 4_096  # each connection takes one, each job three


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: Literal["ok", "note", "FAIL"]
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.level:4}  {self.subject:12} {self.text}"


async def examine(settings: Settings, say: Callable[[str], None]) -> int:
    """Look at everything; say each finding as it is found."""
    failed = False
    async for finding in _findings(settings):
        say(masked(str(finding)))
        failed |= finding.level == "FAIL"
    return int(failed)


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    for finding in await _workers(settings):
        yield finding
    yield await _storage(settings)
    yield await _database(settings)
    yield _cache(settings)
    yield _files()
    yield _parser()
    yield _signing(settings)
    for finding in weaknesses(settings):
        yield finding


async def _workers(settings: Settings) -> list[Finding]:
    """Start one worker, and hear what it says of itself."""
    pool = app.make_pool(settings.model_copy(update={"sandbox": "prefer"}), size=1, spare=0)
    try:
        await pool.start()
        return [_codecs(pool.ready), _readers(settings), _sandbox(settings, pool.ready)]
    except ImgproxyError as error:
        return [Finding("FAIL", "workers", str(error))]
    finally:
        await pool.close()


def _codecs(ready: Ready) -> Finding:
    missing = [name for name in TRAITS if name not in ready.formats]
    text = f"{ready.libvips}, reads {' '.join(ready.formats)}"
    if missing:
        return Finding("note", "libvips", f"{text}; cannot read {' '.join(missing)}")
    return Finding("ok", "libvips", text)


def _readers(settings: Settings) -> Finding:
    on = "; ".join(f"{name}: {' '.join(READERS[name])}" for name in READERS if name in settings.readers)
    off = [name for name in READERS if name not in settings.readers]
    return Finding("ok", "readers", on + (f"; off by IMGPROXY_READERS: {', '.join(off)}" if off else ""))


def _sandbox(settings: Settings, ready: Ready) -> Finding:
    if lack := sandbox.shortcoming(ready.locks):
        level: Literal["note", "FAIL"] = "FAIL" if settings.sandbox == "require" else "note"
        return Finding(level, "sandbox", f"{lack}; held by {', '.join(ready.locks) or 'nothing'}")
    memory = settings.worker_memory // 1024**2
    return Finding("ok", "sandbox", f"full: {', '.join(ready.locks)}; {memory} MiB of memory a worker")


async def _storage(settings: Settings) -> Finding:
    storage = await settings.storage.connect()
    try:
        await storage.check()
    except ImgproxyError as error:
        return Finding("FAIL", "storage", str(error))
    finally:
        await storage.close()
    return Finding("ok", "storage", "reachable")


async def _database(settings: Settings) -> Finding:
    """Return whether the database can be read; a file that does not exist yet is not created."""
    address = settings.database
    if isinstance(address, SqliteUrl) and not address.path.exists():
        return Finding("ok", "database", f"{address.path} will be made at the start")
    database = await open_database(address)
    try:
        newest = await database.read(migrations.is_newest)
    except ImgproxyError as error:
        return Finding("FAIL", "database", with_cause(error))
    finally:
        await database.close()
    if newest:
        return Finding("ok", "database", "reachable, its tables are of this version")
    return Finding("note", "database", "reachable; its tables will be made or changed at the start")


def _cache(settings: Settings) -> Finding:
    """Whether results could be kept on disk; the nearest that exists is tried."""
    folder = settings.cache_dir.absolute()
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            return Finding("ok", "cache", f"{settings.cache_dir} can be written")
    except OSError as error:
        return Finding(
            "FAIL", "cache", f"{settings.cache_dir} cannot be written: {os.strerror(error.errno or 0)}"
        )


def _files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES:
        return Finding(
            "note",
            "open files",
            f"at most {soft}: raise it to {_FILES} or more, for example by ulimit -n {hard}",
        )
    return Finding("ok", "open files", f"at most {soft}")


def _parser() -> Finding:
    """The C parser of HTTP is the one that is safe against smuggling, and fast."""
    if http_parser.HttpRequestParser.__module__ == "aiohttp._http_parser":
        return Finding("ok", "http", "aiohttp with its C parser")
    return Finding(
        "FAIL", "http", "aiohttp without its C parser: install a wheel, or a compiler, and reinstall it"
    )


def _signing(settings: Settings) -> Finding:
    count = len(settings.signing_secrets)
    if count:
        return Finding(
            "ok", "signatures", f"{count} secret{'s' * (count > 1)}, unsigned URLs: {settings.unsigned}"
        )
    return Finding("note", "signatures", "no secrets: anybody may ask for any size of a public image")


def weaknesses(settings: Settings) -> Iterator[Finding]:
    """Find what works and should be mended; `serve` logs the same at its start."""
    for name in settings.short_secrets:
        yield Finding("note", "secrets", f"{name}: must have 16 characters or more, got fewer")
    for path in _private_paths(settings):
        mode = file_modes.exposed_mode(path)
        if mode is not None:
            yield Finding("note", "modes", f"{path}: mode {mode} lets other users in: chmod -R go-rwx {path}")


def _private_paths(settings: Settings) -> Iterator[Path]:
    """The files and folders that other users have no business in, whether they exist or not."""
    if isinstance(settings.database, SqliteUrl):
        path = settings.database.path
        yield from (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"))
    if settings.cache_bytes:
        yield settings.cache_dir
    if isinstance(settings.storage, LocalOptions):
        yield from (settings.storage.root / name for name in PRIVATE_FOLDERS)
