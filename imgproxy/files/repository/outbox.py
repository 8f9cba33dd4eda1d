"""The outbox: work promised in the transaction that made it necessary, leased out until it is done.

A task that is done leaves no row. One whose worker vanished comes due again when its lease ends, so work is
done at least once. A dead task waits for a person.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from imgproxy.files.model import Task, TenantId
from imgproxy.files.repository import rows
from imgproxy.files.tables import is_alive, outbox


def add_task(connection: Connection, task: Task) -> None:
    """Promise work; the transaction that commits this row has to see it done."""
    connection.execute(
        insert(outbox),
        {
            "id": task.id,
            "tenant_id": task.tenant,
            "kind": task.kind,
            "payload": dict(task.payload),
            "not_before": task.not_before,
            "created_at": task.created_at,
            "attempts": task.attempts,
            "last_error": task.last_error,
            "dead_at": task.dead_at,
        },
    )


def lease_tasks(connection: Connection, *, now: int, lease_until: int, limit: int = 100) -> list[Task]:
    """Take what is due, oldest first; nobody else is given it before `lease_until`.

    The attempt is counted here, so that a task that kills its worker dies at last too.
    """
    due = (
        select(outbox.c.id)
        .where(is_alive, outbox.c.not_before <= now)
        .order_by(outbox.c.not_before, outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(
        update(outbox)
        .where(outbox.c.id.in_(due.scalar_subquery()))
        .values(not_before=lease_until, attempts=outbox.c.attempts + 1)
        .returning(outbox)
    )
    return sorted((rows.task(row) for row in found), key=lambda task: task.id)


def next_due(connection: Connection) -> int | None:
    """When the next task is due, which may be long ago; None if there is none."""
    found = connection.execute(select(func.min(outbox.c.not_before)).where(is_alive)).scalar_one()
    return None if found is None else int(found)


def finish_task(connection: Connection, id_: str) -> None:
    """Forget a task that is done."""
    connection.execute(delete(outbox).where(outbox.c.id == id_))


def delay_task(
    connection: Connection, id_: str, *, not_before: int, error: str, attempt: int | None = None
) -> None:
    """Have a task that failed tried again at `not_before`.

    If `attempt` is told, only if that is the last one: whose lease has run out has nothing to say any more.
    """
    values = {"not_before": not_before, "last_error": error}
    connection.execute(update(outbox).where(*_attempt(id_, attempt)).values(**values))


def mark_task_dead(
    connection: Connection, id_: str, *, now: int, error: str, attempt: int | None = None
) -> None:
    """Give a task up, in plain sight; `attempt` as in `delay_task`."""
    values = {"dead_at": now, "last_error": error}
    connection.execute(update(outbox).where(*_attempt(id_, attempt)).values(**values))


def cancel_task(connection: Connection, id_: str) -> bool:
    """Forget a promise that nobody has begun to keep; return whether it could be taken back."""
    gone = connection.execute(delete(outbox).where(outbox.c.id == id_, outbox.c.attempts == 0))
    return gone.rowcount == 1


def make_task_due(connection: Connection, id_: str, *, now: int) -> None:
    """Have a promise kept now."""
    connection.execute(update(outbox).where(outbox.c.id == id_).values(not_before=now))


def retry_dead_task(connection: Connection, tenant: TenantId, id_: str, *, now: int) -> Task | None:
    """Have a dead task tried again from the first attempt on; None if there is no such dead task."""
    found = connection.execute(
        update(outbox)
        .where(outbox.c.id == id_, outbox.c.tenant_id == tenant, ~is_alive)
        .values(dead_at=None, attempts=0, not_before=now)
        .returning(outbox)
    ).one_or_none()
    return rows.task(found) if found else None


def list_tasks(
    connection: Connection, tenant: TenantId, *, dead: bool | None = None, after: str = "", limit: int = 100
) -> list[Task]:
    """A tenant's tasks, oldest first; page on with the last one's id."""
    query = select(outbox).where(outbox.c.tenant_id == tenant, outbox.c.id > after)
    if dead is not None:
        query = query.where(~is_alive if dead else is_alive)
    return [rows.task(row) for row in connection.execute(query.order_by(outbox.c.id).limit(limit))]


def count_tasks(connection: Connection) -> tuple[int, int]:
    """How many tasks wait, and how many are dead, of all tenants: for the metrics."""
    waiting = select(func.count()).where(is_alive).select_from(outbox).scalar_subquery()
    dead = select(func.count()).where(~is_alive).select_from(outbox).scalar_subquery()
    found = connection.execute(select(waiting, dead)).one()
    return found[0], found[1]


def _attempt(id_: str, attempt: int | None) -> tuple[ColumnElement[bool], ...]:
    own = outbox.c.id == id_
    return (own,) if attempt is None else (own, outbox.c.attempts == attempt)
