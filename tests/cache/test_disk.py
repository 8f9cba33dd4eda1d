"""Disk tier: results outlive the process, and no fault of the disk fails a request."""

from __future__ import annotations

import asyncio
import errno
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
from imgproxy.cache.purge_epochs import PurgeEpochs
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
        folder = settings.pop("folder", tmp_path)
        tiers.append(DiskTier(folder, PurgeEpochs(folder), **settings))
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
    for name in ("rename", "unlink", "utime"):
        monkeypatch.setattr(os, name, failing(errno.EROFS))


async def test_what_was_put_is_got(tier: DiskTier) -> None:
    as_protocol: Tier = tier
    await as_protocol.put(key(1), entry("a"))
    assert await as_protocol.get(key(1)) == entry("a")
    assert await as_protocol.get(key(2)) is None


async def test_a_plain_colour_has_no_source(tier: DiskTier) -> None:
    await tier.put(key(1), entry())
    assert await tier.get(key(1)) == entry()


async def test_what_was_put_is_got_after_a_restart(start: Open) -> None:
    first = start()
    await first.put(key(1), entry("a", "mark"))
    await first.close()
    second = start()
    assert await second.get(key(1)) == entry("a", "mark")
    await settled(second)
    assert second.stats().files == 1


async def test_it_answers_before_it_has_taken_stock(start: Open) -> None:
    await start().put(key(1), entry("a"))
    second = start()
    with busy(second):
        assert await second.get(key(1)) == entry("a")


async def test_it_never_grows_beyond_its_size(start: Open, tmp_path: Path) -> None:
    tier = start(size=200_000)
    for number in range(250):
        await tier.put(key(number), entry("a", size=3_000))
    assert sum(path.stat().st_size for path in files(tmp_path, "results")) <= 200_000
    assert tier.stats().bytes <= 200_000
    assert tier.stats().evictions == 250 - tier.stats().files
    assert await tier.get(key(249)) is not None


async def test_it_never_has_more_files_than_it_may(start: Open, tmp_path: Path) -> None:
    tier = start(files=20)
    for number in range(100):
        await tier.put(key(number), entry(f"{number}"))
    assert len(files(tmp_path, "results")) == tier.stats().files == 20


async def test_what_is_used_is_kept(start: Open) -> None:
    tier = start(files=4)
    for number in range(4):
        await tier.put(key(number), entry("a"))
    await tier.get(key(0))
    await tier.put(key(4), entry("a"))
    assert await tier.get(key(0)) is not None
    assert await tier.get(key(1)) is None


async def test_a_full_disk_is_left_alone(start: Open, tmp_path: Path) -> None:
    tier = start(free=1000, statvfs=disk_with(lambda: 999))
    await tier.put(key(1), entry("a"))
    assert files(tmp_path, "results") == []
    assert tier.stats().dropped == 1


async def test_one_large_entry_does_not_drive_out_all_others(start: Open) -> None:
    tier = start(size=40_000)
    await tier.put(key(1), entry("a", size=20_000))
    assert await tier.get(key(1)) is None


async def test_what_waits_to_be_written_is_bounded(start: Open) -> None:
    tier = start(queue=10_000)
    with busy(tier):
        puts = [asyncio.create_task(tier.put(key(number), entry("a", size=4_000))) for number in range(4)]
        await asyncio.wait(puts, return_when=asyncio.FIRST_COMPLETED)
        assert [put.done() for put in puts] == [False, False, True, True]
    await asyncio.gather(*puts)
    assert tier.stats().dropped == 2
    await tier.put(key(9), entry("a", size=4_000))
    assert await tier.get(key(9)) is not None


async def test_a_file_that_is_damaged_is_a_miss(tier: DiskTier, tmp_path: Path) -> None:
    await tier.put(key(1), entry("a"))
    os.truncate(files(tmp_path, "results")[0], 50)
    assert await tier.get(key(1)) is None
    assert files(tmp_path, "results") == []


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


async def test_a_disk_that_turned_read_only_is_still_read(
    tier: DiskTier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tier.put(key(1), entry("a"))
    make_read_only(monkeypatch)
    await tier.put(key(2), entry("a"))
    assert await tier.get(key(1)) == entry("a")
    assert await tier.get(key(2)) is None
    assert tier.stats().dropped == 1


async def test_a_folder_that_cannot_be_made_is_a_cache_that_forgets(start: Open, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    tier = start(folder=tmp_path / "file/cache")
    await tier.put(key(1), entry("a"))
    assert await tier.get(key(1)) is None
    assert tier.stats().dropped == 1


async def test_a_disk_that_cannot_be_read_is_a_miss(
    tier: DiskTier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await tier.put(key(1), entry("a"))
    monkeypatch.setattr(tier._folder, "read", failing(errno.EIO))
    assert await tier.get(key(1)) is None
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
    assert [await tier.get(key(number)) for number in range(20)] == [None] * 20
    assert "too slow" in caplog.text
    release.set()
    await asyncio.to_thread(tier._readers.shutdown)
    assert len(asked) == 5


async def test_get_after_a_purge_that_this_process_missed_is_a_miss_and_learns(start: Open) -> None:
    ours, theirs = start(), start()
    await ours.put(key(1), entry("a", "mark"))
    await ours.put(key(2), entry("b"))
    theirs._epochs.record("mark")
    assert ours._epochs.of("mark") == 0
    assert [await ours.get(key(number)) for number in (1, 2)] == [None, entry("b")]
    assert ours._epochs.of("mark") == 1


async def test_get_without_the_file_of_epochs_is_a_miss_and_the_next_put_discards_all(
    tier: DiskTier, tmp_path: Path
) -> None:
    await tier.put(key(1), entry("a"))
    (tmp_path / "epochs").unlink()
    assert await tier.get(key(1)) is None
    await tier.put(key(2), entry("a"))
    assert [await tier.get(key(number)) for number in (1, 2)] == [None, entry("a")]


async def test_somebody_may_empty_the_folder_at_any_time(tier: DiskTier, tmp_path: Path) -> None:
    await tier.put(key(1), entry("a"))
    shutil.rmtree(tmp_path)
    assert await tier.get(key(1)) is None
    await tier.put(key(2), entry("a"))
    assert await tier.get(key(2)) == entry("a")


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
    assert [await reopened.get(key(number)) for number in range(10)] == [entry("a")] * 10


async def test_a_put_that_nobody_waits_for_any_more_is_written(start: Open) -> None:
    tier = start()
    with busy(tier):
        put = asyncio.create_task(tier.put(key(1), entry("a")))
        await begun(put)
        put.cancel()
        await asyncio.wait([put])
    await settled(tier)
    assert await tier.get(key(1)) == entry("a")


async def test_what_is_closed_holds_nothing(tier: DiskTier) -> None:
    await tier.put(key(1), entry("a"))
    await tier.close()
    await tier.put(key(2), entry("a"))
    assert await tier.get(key(1)) is None


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
        if draw.random() < 0.5:
            await tier.put(key(number), of(number))
        else:
            found = await tier.get(key(number))
            if found is not None and found != of(number):
                wrong.append(found)

    for _ in range(20):
        await asyncio.gather(*(act(draw.randrange(60)) for _ in range(100)))
    assert wrong == []
    for tier in tiers:
        await tier.close()
    assert 0 < len(files(tmp_path, "results")) <= 80
    assert sum(tier.stats().dropped for tier in tiers) == 0


async def test_no_descriptor_and_no_thread_is_left(start: Open) -> None:
    tier = start()
    await tier.put(key(0), entry("a"))
    await tier.get(key(0))
    before = left_open()
    for number in range(50):
        await tier.put(key(number), entry("a", "mark"))
        await tier.get(key(number))
    await tier.close()
    tier._readers.shutdown()
    assert left_open() == before
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("cache-")] == []
