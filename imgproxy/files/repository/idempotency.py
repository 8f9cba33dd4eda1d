"""Requests with an Idempotency-Key, remembered per tenant and principal until they expire."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, select, update

from imgproxy.files.model import StoredRequest, TenantId
from imgproxy.files.repository import rows
from imgproxy.files.tables import idempotency


def begin_request(
    connection: Connection,
    tenant: TenantId,
    principal: str,
    key: str,
    *,
    request_sha256: bytes,
    now: int,
    expires_at: int,
) -> StoredRequest | None:
    """Begin a request: None if it is new, or what is remembered of the first one with this key.

    Of requests that begin at once one is the first; what has expired is forgotten.
    """
    place = _place(tenant, principal, key)
    connection.execute(delete(idempotency).where(*place, idempotency.c.expires_at <= now))
    values = {
        "tenant_id": tenant,
        "principal": principal,
        "key": key,
        "request_sha256": request_sha256,
        "headers": {},
        "created_at": now,
        "expires_at": expires_at,
    }
    if rows.add(connection, idempotency, values):
        return None
    found = connection.execute(select(idempotency).where(*place)).one()
    return StoredRequest(
        request_sha256=found.request_sha256,
        created_at=found.created_at,
        status=found.status,
        headers=found.headers,
        body=found.body or b"",
    )


def save_response(
    connection: Connection, tenant: TenantId, principal: str, key: str, remembered: StoredRequest
) -> None:
    """Keep the answer of a request that has begun, and its fingerprint once its body was read."""
    connection.execute(
        update(idempotency)
        .where(*_place(tenant, principal, key))
        .values(
            request_sha256=remembered.request_sha256,
            status=remembered.status,
            headers=dict(remembered.headers),
            body=remembered.body,
        )
    )


def delete_request(connection: Connection, tenant: TenantId, principal: str, key: str) -> None:
    """Forget a request that failed, so that it may be tried again."""
    connection.execute(delete(idempotency).where(*_place(tenant, principal, key)))


def delete_expired_requests(connection: Connection, *, now: int) -> int:
    """Forget what has expired, of all tenants; return how many that were."""
    return connection.execute(delete(idempotency).where(idempotency.c.expires_at <= now)).rowcount


def _place(tenant: TenantId, principal: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return (
        idempotency.c.tenant_id == tenant,
        idempotency.c.principal == principal,
        idempotency.c.key == key,
    )
