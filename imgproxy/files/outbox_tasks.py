"""Tasks of the outbox, and their payloads.

    delete  {"key"}            remove an object; one that is not there counts as removed
    abort   {"key", "upload"}  throw away the parts of storage's multipart upload
    purge   {"key"}            have caches in front forget a file, by the key that clients know

A promise is kept at least once, and may come before what it is to undo: a URL that is good for a while
yet may still be written to. So what lies behind one is removed now, and again when it has ended.
"""

from __future__ import annotations

from collections.abc import Iterator

from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import Task, TaskKind, TenantId, Upload
from imgproxy.image.source import Key

AFTER_URL_MS = 60_000
"""A PUT that began before its URL ended may take longer than it."""


def delete_object(ids: IdGenerator, tenant: TenantId, key: Key, *, at: int) -> Task:
    """Remove an object at a time."""
    return _task(ids, tenant, "delete", {"key": key}, at)


def clear_staging(ids: IdGenerator, upload: Upload) -> Iterator[Task]:
    """Remove all that a client has written, or may still write, for an upload that has ended."""
    now, end = ids.clock(), upload.url_expires_at + AFTER_URL_MS
    yield delete_object(ids, upload.tenant, upload.staging_key, at=now)
    if end > now:
        yield delete_object(ids, upload.tenant, upload.staging_key, at=end)


def abort_parts(ids: IdGenerator, upload: Upload) -> Iterator[Task]:
    """Throw away parts; one that arrives while that is done may stay, so it is done again."""
    if upload.storage_upload is None:
        return
    payload = {"key": upload.staging_key, "upload": upload.storage_upload}
    for at in (ids.clock(), upload.url_expires_at + AFTER_URL_MS):
        yield _task(ids, upload.tenant, "abort", payload, at)


def abort_upload(ids: IdGenerator, tenant: TenantId, key: Key, upload: str) -> Task:
    """Throw away the parts of an upload that storage knows and the record does not."""
    return _task(ids, tenant, "abort", {"key": key, "upload": upload}, ids.clock())


def forget_in_front(ids: IdGenerator, tenant: TenantId, key: Key) -> Task:
    """Have caches in front of us forget a file."""
    return _task(ids, tenant, "purge", {"key": key}, ids.clock())


def _task(ids: IdGenerator, tenant: TenantId, kind: TaskKind, payload: dict[str, str], at: int) -> Task:
    return Task(ids.id(), tenant, kind, payload, not_before=at, created_at=ids.clock())
