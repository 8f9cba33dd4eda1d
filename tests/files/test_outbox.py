"""The worker that keeps promises."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from imgproxy.errors import FileNotFound, NotFound, StorageFailed, Unavailable
from imgproxy.files.database import Connection, Database
from imgproxy.files.model import Task
from imgproxy.files.outbox import LEASE_MS, TRIES, Handler, OutboxWorker, pause_after
from imgproxy.files.repository.outbox import add_task, lease_tasks, list_tasks
from imgproxy.image.source import Key
from tests.files import samples
from tests.files.keeping import Keeping, until
from tests.files.uploading import ACME, NOW, OTHER, Clock, bytes_of


class Hand:
    """Keeps promises, or fails to, or waits; remembers which it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.given: list[str] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, task: Task) -> None:
        self.given.append(task.id)
        await self.go_on.wait()
        if self.error is not None:
            raise self.error


def worker(database: Database, clock: Clock, hand: Handler, **told: Any) -> OutboxWorker:
    return OutboxWorker(database, {"delete": hand, "purge": hand}, clock=clock, **told)


@asynccontextmanager
async def at_work(outbox: OutboxWorker) -> AsyncIterator[None]:
    outbox.start()
    try:
        yield
    finally:
        await outbox.close()


async def promise(database: Database, **changes: Any) -> Task:
    task = samples.task(**changes)
    await database.write(lambda record: add_task(record, task))
    return task


async def left(database: Database) -> list[Task]:
    return await database.read(lambda record: list_tasks(record, ACME))


async def test_what_was_promised_is_done_and_forgotten(keeping: Keeping) -> None:
    storage, ids = keeping.desk.storage, keeping.ids
    key = Key("files/acme/1/a")
    await storage.put(key, bytes_of(b"gone soon"))
    begun = await storage.multipart.begin(Key("staging/acme/2"))

    def promised(record: Connection) -> None:
        for task in (
            samples.task(payload={"key": key}),
            samples.task(kind="abort", payload={"key": "staging/acme/2", "upload": begun}),
            samples.task(kind="purge", payload={"key": "images/a/cat.jpg"}),
        ):
            add_task(record, task)

    await keeping.desk.database.write(promised)
    assert await keeping.outbox.drain() == 3
    assert not await keeping.desk.exists(key)
    assert [each async for each in storage.multipart.list()] == []
    assert keeping.front.forgotten == ["images/a/cat.jpg"]
    assert await left(keeping.desk.database) == []
    assert ids is keeping.desk.ids


async def test_doing_it_again_is_as_good(keeping: Keeping) -> None:
    for kind, payload in (
        ("delete", {"key": "files/acme/1/a"}),
        ("abort", {"key": "staging/acme/2", "upload": "gone"}),
    ):
        await promise(keeping.desk.database, kind=kind, payload=payload)
    assert await keeping.outbox.drain() == 2
    assert await left(keeping.desk.database) == []


async def test_what_is_not_there_is_done(one: Keeping) -> None:
    await promise(one.desk.database)
    await worker(one.desk.database, one.desk.clock, Hand(NotFound("nothing there"))).drain()
    assert await left(one.desk.database) == []


async def test_after_ten_tries_it_is_given_up_in_plain_sight(
    keeping: Keeping, caplog: pytest.LogCaptureFixture
) -> None:
    database, clock = keeping.desk.database, keeping.desk.clock
    hand = Hand(StorageFailed("the storage is on fire"))
    outbox = worker(database, clock, hand)
    given = await promise(database)
    for attempt in range(1, TRIES + 1):
        assert await outbox.drain() == 1
        [task] = await left(database)
        assert (task.attempts, task.last_error) == (attempt, "StorageFailed: the storage is on fire")
        assert await outbox.drain() == 0
        clock.now += pause_after(attempt)
    assert task.dead_at is not None
    assert hand.given == [given.id] * TRIES
    clock.now += 10**9
    assert await outbox.drain() == 0
    await outbox.count()
    assert (outbox.waiting, outbox.dead) == (0, 1)
    assert outbox.outcomes == {("delete", "failed"): TRIES - 1, ("delete", "dead"): 1}
    assert [record.levelno for record in caplog.records][-1] == logging.ERROR
    assert given.id in caplog.records[-1].getMessage()


async def test_what_was_given_up_is_tried_again_by_hand(keeping: Keeping) -> None:
    database = keeping.desk.database
    hand = Hand(StorageFailed("the storage is on fire"))
    outbox = worker(database, keeping.desk.clock, hand)
    given = await promise(database, attempts=TRIES - 1)
    await outbox.drain()
    hand.error = None
    revived = await keeping.outbox.retry(ACME, given.id)
    assert (revived.dead_at, revived.attempts) == (None, 0)
    assert await outbox.drain() == 1
    assert await left(database) == []


def test_pauses_grow_to_an_hour() -> None:
    pauses = [pause_after(attempts) // 1000 for attempts in range(1, TRIES)]
    assert pauses == [5, 15, 45, 135, 405, 1215, 3600, 3600, 3600]


async def test_a_failed_task_keeps_no_other_waiting(one: Keeping) -> None:
    hand = Hand(StorageFailed("no"))
    outbox = worker(one.desk.database, one.desk.clock, hand)
    await promise(one.desk.database)
    await outbox.drain()
    hand.error = None
    second = await promise(one.desk.database)
    assert await outbox.drain() == 1
    assert hand.given[-1] == second.id


async def test_what_a_worker_left_behind_comes_due_again(keeping: Keeping) -> None:
    database, clock, hand = keeping.desk.database, keeping.desk.clock, Hand()
    await promise(database)
    # one that ends here and now, with its task in hand
    await database.write(lambda record: lease_tasks(record, now=NOW, lease_until=NOW + LEASE_MS))
    outbox = worker(database, clock, hand)
    clock.now = NOW + LEASE_MS - 1
    assert await outbox.drain() == 0
    clock.now = NOW + LEASE_MS
    assert await outbox.drain() == 1
    assert await left(database) == []


async def test_a_task_that_ends_its_worker_each_time_is_given_up(one: Keeping) -> None:
    hand = Hand()
    await promise(one.desk.database, attempts=TRIES)
    await worker(one.desk.database, one.desk.clock, hand).drain()
    [task] = await left(one.desk.database)
    assert (task.dead_at is not None, hand.given) == (True, [])


async def test_no_two_workers_ever_have_one_task(keeping: Keeping) -> None:
    database, clock, hand = keeping.desk.database, keeping.desk.clock, Hand()
    given = [await promise(database) for _ in range(30)]
    hand.go_on.clear()
    first, second, third = (worker(database, clock, hand) for _ in range(3))
    async with at_work(first), at_work(second), at_work(third):
        await until(lambda: len(hand.given) == 24)  # each on as many as it does at once
        assert len(set(hand.given)) == 24
        hand.go_on.set()
        await until(lambda: len(hand.given) == 30)
    assert sorted(hand.given) == sorted(task.id for task in given)
    assert await left(database) == []


async def test_who_comes_too_late_has_nothing_more_to_say(keeping: Keeping) -> None:
    database, clock = keeping.desk.database, keeping.desk.clock
    slow, quick = Hand(StorageFailed("late")), Hand()
    slow.go_on.clear()
    quick.go_on.clear()
    await promise(database, attempts=TRIES - 2)
    late = asyncio.create_task(worker(database, clock, slow).drain())
    await until(lambda: slow.given)
    clock.now += LEASE_MS
    in_time = asyncio.create_task(worker(database, clock, quick).drain())
    await until(lambda: quick.given)
    slow.go_on.set()
    await late
    [task] = await left(database)
    assert (task.not_before, task.last_error) == (clock.now + LEASE_MS, None)
    quick.go_on.set()
    await in_time
    assert await left(database) == []


async def test_a_try_that_takes_too_long_has_failed(one: Keeping) -> None:
    hand = Hand()
    hand.go_on.clear()
    await promise(one.desk.database)
    await worker(one.desk.database, one.desk.clock, hand, patience=0.01).drain()
    [task] = await left(one.desk.database)
    assert task.last_error == "not done within 0 s"


async def test_a_defect_is_a_failure_that_tells_no_secret(one: Keeping) -> None:
    await promise(one.desk.database)
    await worker(one.desk.database, one.desk.clock, Hand(RuntimeError("password=hunter2"))).drain()
    [task] = await left(one.desk.database)
    assert task.last_error == "RuntimeError"


async def test_what_nobody_can_do_here_waits_for_who_can(one: Keeping) -> None:
    await promise(one.desk.database, kind="abort", payload={})
    await worker(one.desk.database, one.desk.clock, Hand()).drain()
    [task] = await left(one.desk.database)
    assert task.last_error == "KeyError"


async def test_it_is_done_at_once_when_it_is_woken(one: Keeping) -> None:
    hand = Hand()
    outbox = worker(one.desk.database, one.desk.clock, hand)
    told: list[Key] = []

    async def tell(key: Key) -> None:
        told.append(key)

    async with at_work(outbox):
        await promise(one.desk.database)
        await outbox.wake_after(tell)(Key("images/a/cat.jpg"))
        await until(lambda: outbox.outcomes["delete", "done"])
    assert told == ["images/a/cat.jpg"]


async def test_it_is_found_by_who_was_not_woken(one: Keeping) -> None:
    hand = Hand()
    async with at_work(worker(one.desk.database, one.desk.clock, hand)):
        await promise(one.desk.database, not_before=NOW + 10)
        one.desk.clock.now += 10
        await until(lambda: hand.given)


async def test_no_more_is_tried_at_once_than_may_be(one: Keeping) -> None:
    hand = Hand()
    hand.go_on.clear()
    for _ in range(20):
        await promise(one.desk.database)
    outbox = worker(one.desk.database, one.desk.clock, hand)
    async with at_work(outbox):
        await until(lambda: len(hand.given) == 8)
        await outbox.count()
        assert outbox.waiting == 20
        hand.go_on.set()
        await until(lambda: outbox.outcomes["delete", "done"] == 20)


async def test_a_worker_ends_when_what_it_has_begun_has_ended(one: Keeping) -> None:
    hand = Hand()
    hand.go_on.clear()
    await promise(one.desk.database)
    outbox = worker(one.desk.database, one.desk.clock, hand)
    outbox.start()
    await until(lambda: hand.given)
    closing = asyncio.create_task(outbox.close())
    await asyncio.sleep(0)
    hand.go_on.set()
    await closing
    assert await left(one.desk.database) == []


class Away:
    """A record that cannot be reached until it is back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked = 0
        self.is_back = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def read(self, work: Any) -> Any:
        self.asked += 1
        if not self.is_back:
            raise Unavailable("the record of files cannot be reached")
        return await self._database.read(work)


async def test_a_record_that_was_away_is_gone_on_with(one: Keeping) -> None:
    away, hand = Away(one.desk.database), Hand()
    outbox = worker(away, one.desk.clock, hand)  # type: ignore[arg-type]
    await promise(one.desk.database)
    async with at_work(outbox):
        await until(lambda: away.asked)
        away.is_back = True
        outbox.wake()
        await until(lambda: hand.given)


async def promise_tasks(keeping: Keeping, *tasks: Task) -> None:
    def work(record: Connection) -> None:
        for task in tasks:
            add_task(record, task)

    await keeping.desk.database.write(work)


async def test_a_tenant_sees_its_own_by_whether_they_are_given_up(keeping: Keeping) -> None:
    waits, dead = samples.task(), samples.task(dead_at=NOW)
    await promise_tasks(keeping, waits, dead, samples.task(tenant=OTHER))
    outbox = keeping.outbox
    both = await outbox.list(ACME, dead=None, limit=10)
    assert sorted(task.id for task in both) == sorted([waits.id, dead.id])
    assert await outbox.list(ACME, dead=True, limit=10) == [dead]
    assert await outbox.list(ACME, dead=False, limit=10) == [waits]
    assert len(await outbox.list(ACME, dead=None, limit=1)) == 1


@pytest.mark.parametrize("changes", [{}, {"tenant": OTHER, "dead_at": NOW}])
async def test_only_ones_own_that_were_given_up_can_be_retried(
    keeping: Keeping, changes: dict[str, object]
) -> None:
    task = samples.task(**changes)
    await promise_tasks(keeping, task)
    with pytest.raises(FileNotFound):
        await keeping.outbox.retry(ACME, task.id)


async def test_retry_wakes_the_worker(one: Keeping) -> None:
    task = samples.task(dead_at=NOW, attempts=10)
    await promise_tasks(one, task)
    hand = Hand()
    outbox = worker(one.desk.database, one.desk.clock, hand)
    async with at_work(outbox):
        await outbox.retry(ACME, task.id)
        await until(lambda: hand.given)
