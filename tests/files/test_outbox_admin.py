"""What a tenant sees of its promises."""

from __future__ import annotations

import pytest

from imgproxy.errors import FileNotFound
from imgproxy.files.database import Connection
from imgproxy.files.model import Task
from imgproxy.files.outbox_admin import OutboxAdmin
from imgproxy.files.repository.outbox import add_task
from tests.files import samples
from tests.files.keeping import Keeping
from tests.files.uploading import ACME, NOW, OTHER


async def promise(keeping: Keeping, *tasks: Task) -> None:
    def work(record: Connection) -> None:
        for task in tasks:
            add_task(record, task)

    await keeping.desk.database.write(work)


async def test_a_tenant_sees_its_own_by_whether_they_are_given_up(keeping: Keeping) -> None:
    waits, dead = samples.task(), samples.task(dead_at=NOW)
    await promise(keeping, waits, dead, samples.task(tenant=OTHER))
    outbox_admin = keeping.outbox_admin
    both = await outbox_admin.list(ACME, dead=None, limit=10)
    assert sorted(task.id for task in both) == sorted([waits.id, dead.id])
    assert await outbox_admin.list(ACME, dead=True, limit=10) == [dead]
    assert await outbox_admin.list(ACME, dead=False, limit=10) == [waits]
    assert len(await outbox_admin.list(ACME, dead=None, limit=1)) == 1


@pytest.mark.parametrize("changes", [{}, {"tenant": OTHER, "dead_at": NOW}])
async def test_only_ones_own_that_were_given_up_can_be_retried(
    keeping: Keeping, changes: dict[str, object]
) -> None:
    task = samples.task(**changes)
    await promise(keeping, task)
    with pytest.raises(FileNotFound):
        await keeping.outbox_admin.retry(ACME, task.id)


async def test_what_is_retried_is_looked_at_at_once(one: Keeping) -> None:
    woken: list[bool] = []
    task = samples.task(dead_at=NOW, attempts=10)
    await promise(one, task)
    outbox_admin = OutboxAdmin(one.desk.database, clock=one.desk.clock, wake=lambda: woken.append(True))
    await outbox_admin.retry(ACME, task.id)
    assert woken == [True]
