"""The outbox over HTTP."""

from __future__ import annotations

import pytest

from imgproxy.files.database import Connection
from imgproxy.files.model import Task
from imgproxy.files.repository.outbox import add_task
from tests.api import shell
from tests.api.conftest import Counter
from tests.api.test_files import ask
from tests.files import samples
from tests.files.keeping import UNKNOWN
from tests.files.uploading import NOW, OTHER

OUTBOX = "/v1/admin/outbox"


async def promise(counter: Counter, *tasks: Task) -> None:
    def work(record: Connection) -> None:
        for task in tasks:
            add_task(record, task)

    await counter.desk.database.write(work)


async def test_what_waits_and_what_was_given_up_is_told_without_where_it_lies(counter: Counter) -> None:
    waits = samples.task()
    dead = samples.task(dead_at=NOW, attempts=10, last_error="StorageFailed: no")
    await promise(counter, waits, dead, samples.task(tenant=OTHER))
    status, told, _ = await ask(counter, "GET", OUTBOX, **shell.SERVICE)
    assert status == 200
    assert sorted(each["id"] for each in told["items"]) == sorted([waits.id, dead.id])
    _, only, _ = await ask(counter, "GET", f"{OUTBOX}?state=dead", **shell.SERVICE)
    assert only["items"] == [
        {
            "id": dead.id,
            "kind": "delete",
            "state": "dead",
            "attempts": 10,
            "lastError": "StorageFailed: no",
            "notBefore": "2026-09-21T14:13:20.000Z",
            "createdAt": "2026-09-21T14:13:20.000Z",
            "deadAt": "2026-09-21T14:13:20.000Z",
        }
    ]
    _, waiting, _ = await ask(counter, "GET", f"{OUTBOX}?state=waiting&limit=1", **shell.SERVICE)
    assert [(each["id"], each["state"]) for each in waiting["items"]] == [(waits.id, "waiting")]


async def test_what_was_given_up_is_tried_again_by_hand(counter: Counter) -> None:
    dead = samples.task(dead_at=NOW, attempts=10)
    await promise(counter, dead)
    status, told, _ = await ask(counter, "POST", f"{OUTBOX}/{dead.id}/retry", **shell.SERVICE)
    assert (status, told["state"], told["attempts"], told["deadAt"]) == (200, "waiting", 0, None)
    assert await counter.keeping.outbox.drain() == 1


@pytest.mark.parametrize("changes", [{}, {"tenant": OTHER, "dead_at": NOW}, {"id": "not-a-task"}])
async def test_only_ones_own_that_was_given_up_is_there(counter: Counter, changes: dict[str, object]) -> None:
    task = samples.task(**changes)
    await promise(counter, task)
    for id_ in (task.id, UNKNOWN):
        status, told, _ = await ask(counter, "POST", f"{OUTBOX}/{id_}/retry", **shell.SERVICE)
        assert (status, told["error"]["code"]) == (404, "file/not-found")


@pytest.mark.parametrize("who", [shell.user(), shell.ANYBODY])
@pytest.mark.parametrize(("method", "path"), [("GET", OUTBOX), ("POST", f"{OUTBOX}/{UNKNOWN}/retry")])
async def test_the_outbox_is_the_tenants_own(
    counter: Counter, who: dict[str, str], method: str, path: str
) -> None:
    assert (await ask(counter, method, path, **who))[0] == 403
