"""Results on disk: they outlive the process, and no fault of the disk becomes one of a request."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import random
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imgproxy.cache.disk import DiskTier
from imgproxy.cache.folder import home_of
from imgproxy.cache.tiers import Tier
from tests.cache.results import disk_with, entry, files, key, left_open

PLENTY = 1_000_000_000

Open = Callable[..., DiskTier]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Open]:
    """Makes tiers on one folder, as several processes would."""
    tiers: list[DiskTier] = []

    def make(**changes: Any) -> DiskTier:
        settings: dict[str, Any] = {"size": PLENTY, "files": PLENTY, "free": 0, **changes}
        tiers.append(DiskTier(settings.pop("folder", tmp_path), **settings))
        return tiers[-1]

    yield make
    for tier in tiers:
        await tier.close()


@pytest.fixture
def tier(start: Open) -> DiskTier:
    return start()


@contextmanager
def busy(tier: DiskTier) -> Iterator[None]:
    """Keep the thread that writes from going on."""
    release = threading.Event()
    tier._writer.submit(release.wait)
    try:
        yield
    finally:
        release.set()


async def settled(tier: DiskTier) -> None:
    """Wait until the thread that writes has done what it was given."""
    await asyncio.wrap_future(tier._writer.submit(lambda: None))


async def begun(*tasks: asyncio.Task[Any]) -> None:
    """Let tasks run up to where they wait for a thread."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


def make_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a disk is after an error; tests may run as root, whom permissions do not hold."""
    whole = os.open

    def open_(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system")
        return whole(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", open_)
    for name in ("rename", "link", "unlink", "utime", "rmdir"):
        monkeypatch.setattr(os, name, failing(errno.EROFS))


async def test_what_was_put_is_got(tier: DiskTier) -> None:
    as_protocol: Tier = tier
    await as_protocol.put(key(1), entry("a"))
    assert await as_protocol.get(key(1), "a") == entry("a")
    assert await as_protocol.get(key(2), "a") is None
    assert await as_protocol.get(key(1), "b") is None


async def test_a_plain_colour_has_no_source(tier: DiskTier) -> None:
    await tier.put(key(1), entry())
    assert await tier.get(key(1), "") == entry()


async def test_what_was_put_is_got_after_a_restart(start: Open) -> None:
    first = start()
    await first.put(key(1), entry("a", "mark"))
    await first.close()
    second = start()
    assert await second.get(key(1), "a") == entry("a", "mark")
    await settled(second)
    assert second.stats().files == 1


async def test_it_answers_before_it_has_taken_stock(start: Open) -> None:
    await start().put(key(1), entry("a"))
    second = start()
    with busy(second):
        assert await second.get(key(1), "a") == entry("a")


async def test_it_never_grows_beyond_its_size(start: Open, tmp_path: Path) -> None:
    tier = start(size=200_000)
    for number in range(250):
        await tier.put(key(number), entry("a", size=3_000))
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 200_000
    assert tier.stats().bytes <= 200_000
    assert tier.stats().evictions == 250 - tier.stats().files
    assert await tier.get(key(249), "a") is not None


async def test_it_never_has_more_files_than_it_may(start: Open, tmp_path: Path) -> None:
    tier = start(files=20)
    for number in range(100):
        await tier.put(key(number), entry(f"{number}"))
    assert len(files(tmp_path)) == tier.stats().files == 20


async def test_what_is_used_is_kept(start: Open) -> None:
    tier = start(files=4)
    for number in range(4):
        await tier.put(key(number), entry("a"))
    await tier.get(key(0), "a")
    await tier.put(key(4), entry("a"))
    assert await tier.get(key(0), "a") is not None
    assert await tier.get(key(1), "a") is None


async def test_a_full_disk_is_left_alone(start: Open, tmp_path: Path) -> None:
    tier = start(free=1000, statvfs=disk_with(lambda: 999))
    await tier.put(key(1), entry("a"))
    assert files(tmp_path) == []
    assert tier.stats().dropped == 1


async def test_one_large_entry_does_not_drive_out_all_others(start: Open) -> None:
    tier = start(size=40_000)
    await tier.put(key(1), entry("a", size=20_000))
    assert await tier.get(key(1), "a") is None


async def test_what_waits_to_be_written_is_bounded(start: Open) -> None:
    tier = start(queue=10_000)
    with busy(tier):
        puts = [asyncio.create_task(tier.put(key(number), entry("a", size=4_000))) for number in range(4)]
        await asyncio.wait(puts, return_when=asyncio.FIRST_COMPLETED)
        assert [put.done() for put in puts] == [False, False, True, True]
    await asyncio.gather(*puts)
    assert tier.stats().dropped == 2
    await tier.put(key(9), entry("a", size=4_000))
    assert await tier.get(key(9), "a") is not None


@pytest.mark.parametrize("source", ["a", "mark"])
async def test_a_drop_holds_for_every_process(start: Open, tmp_path: Path, source: str) -> None:
    ours, theirs = start(), start()
    await ours.put(key(1), entry("a", "mark"))
    await ours.put(key(2), entry("b"))
    assert await theirs.get(key(1), "a") is not None
    await theirs.drop(source)
    assert [await tier.get(key(1), "a") for tier in (ours, theirs)] == [None, None]
    assert await ours.get(key(2), "b") is not None
    await settled(theirs)
    assert len(files(tmp_path, "v1")) == 1


async def test_what_is_put_after_a_drop_is_kept(tier: DiskTier) -> None:
    await tier.put(key(1), entry("a"))
    await tier.drop("a")
    await tier.put(key(1), entry("a"))
    await settled(tier)
    assert await tier.get(key(1), "a") == entry("a")


@pytest.mark.parametrize("source", ["a", "mark"])
@pytest.mark.parametrize("own", [True, False])
async def test_a_drop_defeats_what_was_put_before_and_is_not_yet_written(
    start: Open, source: str, own: bool
) -> None:
    ours, theirs = start(), start()
    with busy(ours):
        put = asyncio.create_task(ours.put(key(1), entry("a", "mark")))
        await begun(put)
        await (ours if own else theirs).drop(source)
    await put
    assert [await tier.get(key(1), "a") for tier in (ours, theirs)] == [None, None]
    assert ours.stats().dropped == 0


async def test_what_was_read_before_a_drop_is_not_handed_out_after_it(
    tier: DiskTier, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_read, release = threading.Event(), threading.Event()
    read = tier._folder.read

    def read_and_wait(*question: Any) -> Any:
        answer = read(*question)
        has_read.set()
        release.wait()
        return answer

    await tier.put(key(1), entry("a"))
    monkeypatch.setattr(tier._folder, "read", read_and_wait)
    get = asyncio.create_task(tier.get(key(1), "a"))
    await asyncio.to_thread(has_read.wait)
    await tier.drop("a")
    release.set()
    assert await get is None


async def test_a_file_that_is_damaged_is_a_miss(tier: DiskTier, tmp_path: Path) -> None:
    await tier.put(key(1), entry("a"))
    os.truncate(files(tmp_path)[0], 50)
    assert await tier.get(key(1), "a") is None
    assert files(tmp_path) == []


async def test_a_write_that_fails_half_way_is_a_dropped_put(
    tier: DiskTier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await settled(tier)
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    for number in range(3):
        await tier.put(key(number), entry("a"))
    monkeypatch.undo()
    assert files(tmp_path) == []
    assert tier.stats().dropped == 3
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "No space left" in caplog.text
    await tier.put(key(1), entry("a"))
    assert await tier.get(key(1), "a") == entry("a")


async def test_a_complaint_is_repeated_after_a_minute(
    start: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = [0.0]
    tier = start(timer=lambda: seconds[0])
    await settled(tier)
    monkeypatch.setattr(tier._folder, "write", failing(errno.EIO))
    for moment in (0.0, 59.0, 61.0, 100.0):
        seconds[0] = moment
        await tier.put(key(1), entry("a"))
    assert len(caplog.records) == 2


async def test_a_disk_without_hard_links_keeps_what_has_one_source(
    tier: DiskTier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    await tier.put(key(1), entry("a", "mark"))
    await tier.put(key(2), entry("a"))
    assert [await tier.get(key(number), "a") for number in (1, 2)] == [None, entry("a")]
    assert len(files(tmp_path)) == 1


async def test_a_disk_that_turned_read_only_is_still_read(
    tier: DiskTier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tier.put(key(1), entry("a"))
    make_read_only(monkeypatch)
    await tier.put(key(2), entry("a"))
    assert await tier.get(key(1), "a") == entry("a")
    assert await tier.get(key(2), "a") is None
    assert tier.stats().dropped == 1


@pytest.mark.parametrize("source", ["a", "mark"])
async def test_what_the_disk_would_not_drop_is_not_served(
    tier: DiskTier, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    await tier.put(key(1), entry("a", "mark"))
    await tier.put(key(2), entry("b"))
    make_read_only(monkeypatch)
    with pytest.raises(OSError, match="Read-only"):
        await tier.drop(source)
    assert await tier.get(key(1), "a") is None
    assert await tier.get(key(2), "b") is not None
    monkeypatch.undo()
    await tier.drop(source)
    await tier.put(key(1), entry("a", "mark"))
    assert await tier.get(key(1), "a") is not None


async def test_a_folder_that_cannot_be_made_is_a_cache_that_forgets(start: Open, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    tier = start(folder=tmp_path / "file/cache")
    await tier.put(key(1), entry("a"))
    assert await tier.get(key(1), "a") is None
    assert tier.stats().dropped == 1


async def test_a_disk_that_cannot_be_read_is_a_miss(
    tier: DiskTier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await tier.put(key(1), entry("a"))
    monkeypatch.setattr(tier._folder, "read", failing(errno.EIO))
    assert await tier.get(key(1), "a") is None
    assert "Input/output error" in caplog.text


async def test_a_disk_that_hangs_is_a_miss_and_then_is_not_asked(
    start: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tier = start(patience=0.001)
    release, asked = threading.Event(), []

    def hang(*question: object) -> None:
        asked.append(question)
        release.wait()

    monkeypatch.setattr("imgproxy.cache.disk._WAITING", 5)
    monkeypatch.setattr(tier._folder, "read", hang)
    assert [await tier.get(key(number), "a") for number in range(20)] == [None] * 20
    assert "too slow" in caplog.text
    release.set()
    await asyncio.to_thread(tier._readers.shutdown)
    assert len(asked) == 5


async def test_somebody_may_empty_the_folder_at_any_time(tier: DiskTier, tmp_path: Path) -> None:
    await tier.put(key(1), entry("a"))
    shutil.rmtree(tmp_path)
    assert await tier.get(key(1), "a") is None
    await tier.drop("a")
    await tier.put(key(2), entry("a"))
    assert await tier.get(key(2), "a") == entry("a")


async def test_closing_waits_for_what_is_being_written(start: Open) -> None:
    tier = start()
    with busy(tier):
        puts = [asyncio.create_task(tier.put(key(number), entry("a"))) for number in range(10)]
        await begun(*puts)
        closing = asyncio.create_task(tier.close())
        await begun(closing)
    await closing
    await asyncio.gather(*puts)
    reopened = start()
    assert [await reopened.get(key(number), "a") for number in range(10)] == [entry("a")] * 10


async def test_a_put_that_nobody_waits_for_any_more_is_written(start: Open) -> None:
    tier = start()
    with busy(tier):
        put = asyncio.create_task(tier.put(key(1), entry("a")))
        await begun(put)
        put.cancel()
        await asyncio.wait([put])
    await settled(tier)
    assert await tier.get(key(1), "a") == entry("a")


async def test_what_is_closed_holds_nothing(tier: DiskTier) -> None:
    await tier.put(key(1), entry("a"))
    await tier.close()
    await tier.put(key(2), entry("a"))
    assert await tier.get(key(1), "a") is None


async def test_many_at_once_in_two_processes(start: Open, tmp_path: Path) -> None:
    draw = random.Random(7)  # noqa: S311 - a shuffle, no secret
    tiers = [start(size=300_000, files=40), start(size=300_000, files=40)]
    sources = ["a", "b", "c"]
    wrong: list[object] = []

    def of(number: int) -> Any:
        own = sources[number % 3]
        return entry(own, *(["mark"] if number % 2 else []), size=number * 97, fill=bytes([number]))

    async def act(number: int) -> None:
        tier = draw.choice(tiers)
        match draw.randrange(8):
            case 0:
                await tier.drop(draw.choice([*sources, "mark"]))
            case 1 | 2 | 3:
                await tier.put(key(number), of(number))
            case _:
                found = await tier.get(key(number), sources[number % 3])
                if found is not None and found != of(number):
                    wrong.append(found)

    for _ in range(20):
        await asyncio.gather(*(act(draw.randrange(60)) for _ in range(100)))
    assert wrong == []
    for source in [*sources, "mark"]:
        await tiers[0].drop(source)
    for tier in tiers:
        await tier.close()
    assert files(tmp_path, "v1") == files(tmp_path, "temp") == files(tmp_path, "trash") == []
    assert sum(tier.stats().dropped for tier in tiers) == 0


async def test_no_descriptor_and_no_thread_is_left(start: Open) -> None:
    tier = start()
    await tier.put(key(0), entry("a"))
    await tier.get(key(0), "a")
    before = left_open()
    for number in range(50):
        await tier.put(key(number), entry("a", "mark"))
        await tier.get(key(number), "a")
    await tier.drop("mark")
    await tier.close()
    tier._readers.shutdown()
    assert left_open() == before
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("cache-")] == []


async def test_a_source_has_a_folder_of_its_own(tier: DiskTier, tmp_path: Path) -> None:
    await tier.put(key(1), entry("a/b.jpg"))
    home = home_of("a/b.jpg")
    assert files(tmp_path) == [tmp_path / "v1" / home[:2] / home / key(1)]
