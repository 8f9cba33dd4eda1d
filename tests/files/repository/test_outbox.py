"""Promises of `imgproxy.files.repository.outbox`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from imgproxy.files.database import Connection, Database
from imgproxy.files.model import Task
from imgproxy.files.repository import outbox
from tests.files.samples import ACME, NOW, OTHER, task


async def _add(database: Database, *tasks: Task) -> None:
    def work(connection: Connection) -> None:
        for each in tasks:
            outbox.add_task(connection, each)

    await database.write(work)


async def _lease(database: Database, *, now: int = NOW, limit: int = 100) -> list[Task]:
    return await database.write(
        lambda c: outbox.lease_tasks(c, now=now, lease_until=now + 60_000, limit=limit)
    )


async def test_a_task_comes_back_the_same_but_for_the_lease_and_the_attempt(database: Database) -> None:
    given = task(payload={"key": "a", "upload": "日本"}, last_error="earlier", attempts=3)
    await _add(database, given)
    assert await _lease(database) == [replace(given, attempts=4, not_before=NOW + 60_000)]


async def test_what_is_not_due_waits(database: Database) -> None:
    await _add(database, task(not_before=NOW + 1))
    assert await _lease(database) == []


async def test_a_leased_task_is_given_to_nobody_else_until_the_lease_ends(database: Database) -> None:
    await _add(database, given := task())
    await _lease(database)
    assert await _lease(database, now=NOW + 59_999) == []
    assert [each.id for each in await _lease(database, now=NOW + 60_000)] == [given.id]


async def test_workers_that_ask_at_once_share_the_work(database: Database) -> None:
    given = [task() for _ in range(12)]
    await _add(database, *given)
    leased = await asyncio.gather(*(_lease(database, limit=3) for _ in range(6)))
    ids = [each.id for some in leased for each in some]
    assert len(ids) == len(set(ids))
    rest = await _lease(database)
    assert sorted([*ids, *(each.id for each in rest)]) == sorted(each.id for each in given)


async def test_the_oldest_are_leased_first(database: Database) -> None:
    late, early = task(not_before=NOW), task(not_before=NOW - 5)
    await _add(database, late, early)
    assert [each.id for each in await _lease(database, limit=1)] == [early.id]


async def test_a_task_that_is_done_is_gone(database: Database) -> None:
    await _add(database, given := task())
    await database.write(lambda c: outbox.finish_task(c, given.id))
    assert await database.read(lambda c: outbox.list_tasks(c, ACME)) == []


async def test_a_task_that_failed_is_tried_again_later_and_says_why(database: Database) -> None:
    await _add(database, given := task())
    await _lease(database)
    await database.write(
        lambda c: outbox.delay_task(c, given.id, not_before=NOW + 5, error="storage is away")
    )
    assert await _lease(database, now=NOW + 4) == []
    (again,) = await _lease(database, now=NOW + 5)
    assert (again.attempts, again.last_error) == (2, "storage is away")


async def test_a_dead_task_is_left_alone_until_its_tenant_revives_it(database: Database) -> None:
    await _add(database, given := task(attempts=10))
    await database.write(lambda c: outbox.mark_task_dead(c, given.id, now=NOW, error="gone"))
    assert await _lease(database) == []
    assert await database.write(lambda c: outbox.retry_dead_task(c, OTHER, given.id, now=NOW)) is None
    revived = await database.write(lambda c: outbox.retry_dead_task(c, ACME, given.id, now=NOW + 1))
    assert revived == replace(given, attempts=0, not_before=NOW + 1, last_error="gone")
    assert await database.write(lambda c: outbox.retry_dead_task(c, ACME, given.id, now=NOW)) is None
    assert [each.id for each in await _lease(database, now=NOW + 1)] == [given.id]


async def test_tasks_are_listed_by_tenant_dead_or_not_page_by_page(database: Database) -> None:
    alive = [task() for _ in range(3)]
    dead = [task(dead_at=NOW) for _ in range(2)]
    await _add(database, *alive, *dead, task(tenant=OTHER))
    every = sorted([*alive, *dead], key=lambda each: each.id)
    assert await database.read(lambda c: outbox.list_tasks(c, ACME)) == every
    assert await database.read(lambda c: outbox.list_tasks(c, ACME, after=every[1].id, limit=2)) == every[2:4]
    found = await database.read(lambda c: outbox.list_tasks(c, ACME, dead=True))
    assert found == [each for each in every if each.dead_at]
    assert len(await database.read(lambda c: outbox.list_tasks(c, ACME, dead=False))) == 3


async def test_waiting_and_dead_tasks_are_counted(database: Database) -> None:
    await _add(database, task(), task(tenant=OTHER), task(dead_at=NOW))
    assert await database.read(outbox.count_tasks) == (2, 1)


async def test_cancel_task_removes_a_task_once(database: Database) -> None:
    given = task()

    def work(record: Connection) -> list[bool]:
        outbox.add_task(record, given)
        return [outbox.cancel_task(record, given.id) for _ in range(2)]

    assert await database.write(work) == [True, False]


async def test_cancel_task_of_a_leased_task_returns_false(database: Database) -> None:
    given = task()

    def work(record: Connection) -> bool:
        outbox.add_task(record, given)
        outbox.lease_tasks(record, now=NOW, lease_until=NOW + 1)
        return outbox.cancel_task(record, given.id)

    assert not await database.write(work)


async def test_make_task_due_lets_it_be_leased_now(database: Database) -> None:
    given = task(not_before=NOW + 1000)

    def work(record: Connection) -> list[str]:
        outbox.add_task(record, given)
        assert outbox.lease_tasks(record, now=NOW, lease_until=NOW + 1) == []
        outbox.make_task_due(record, given.id, now=NOW)
        return [each.id for each in outbox.lease_tasks(record, now=NOW, lease_until=NOW + 1)]

    assert await database.write(work) == [given.id]
