"""Endpoints of operators: outbox tasks that are not done, and retries of dead ones."""

from __future__ import annotations

from imgproxy import errors
from imgproxy.api.endpoints import Answer, Call, Endpoint, Group
from imgproxy.api.requests import OutboxAsked
from imgproxy.api.responses import Outbox, TaskTold
from imgproxy.files.model import Task
from imgproxy.files.principal import Kind
from imgproxy.files.service import FilesService

_DEAD = {"all": None, "waiting": False, "dead": True}


async def _list(service: FilesService, call: Call[OutboxAsked]) -> Answer:
    tasks = await service.outbox.list(
        call.principal.tenant, dead=_DEAD[call.given.state], limit=call.given.limit
    )
    return Answer(Outbox(items=[_told(task) for task in tasks]))


async def _retry(service: FilesService, call: Call[None]) -> Answer:
    return Answer(_told(await service.outbox.retry(call.principal.tenant, call.file_id)))


def _told(task: Task) -> TaskTold:
    return TaskTold(
        id=task.id,
        kind=task.kind,
        state="dead" if task.dead_at is not None else "waiting",
        attempts=task.attempts,
        last_error=task.last_error,
        not_before=task.not_before,
        created_at=task.created_at,
        dead_at=task.dead_at,
    )


ADMIN: Group[FilesService] = Group(
    "Operation",
    "For those who run it: bytes that are to be removed, uploads to be aborted, caches to be purged.",
    (
        Endpoint(
            "GET",
            "/v1/admin/outbox",
            "listOutbox",
            "See what is promised and not done yet",
            _list,
            Kind.SERVICE,
            takes=OutboxAsked,
            answers=Outbox,
            text="Oldest first. What failed ten times is `dead`: given up until it is retried by hand.",
        ),
        Endpoint(
            "POST",
            "/v1/admin/outbox/{id}/retry",
            "retryTask",
            "Have what was given up tried again",
            _retry,
            Kind.SERVICE,
            answers=TaskTold,
            refuses=(errors.FileNotFound,),
        ),
    ),
)
