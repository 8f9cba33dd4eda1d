"""What a tenant may know of its promises, and have tried again by hand."""

from __future__ import annotations

from collections.abc import Callable

from imgproxy.errors import FileNotFound
from imgproxy.files.database import Database
from imgproxy.files.model import Task, TenantId
from imgproxy.files.repository.outbox import list_tasks, retry_dead_task


class OutboxAdmin:
    """The promises of each tenant, by the tenant."""

    def __init__(self, database: Database, *, clock: Callable[[], int], wake: Callable[[], None]) -> None:
        """`wake` has this process's worker look at once."""
        self._database = database
        self._clock = clock
        self._wake = wake

    async def list(self, tenant: TenantId, *, dead: bool | None, limit: int) -> list[Task]:
        """Promises that are not kept yet, oldest first."""
        return await self._database.read(
            lambda connection: list_tasks(connection, tenant, dead=dead, limit=limit)
        )

    async def retry(self, tenant: TenantId, id_: str) -> Task:
        """Have one that was given up tried again, now; raise `FileNotFound` if there is no such."""
        now = self._clock()
        task = await self._database.write(lambda c: retry_dead_task(c, tenant, id_, now=now))
        if task is None:
            raise FileNotFound("there is no such task that was given up")
        self._wake()
        return task
