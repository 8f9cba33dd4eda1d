"""Requests with an Idempotency-Key over the record, each a transaction of its own."""

from __future__ import annotations

from dataclasses import dataclass

from imgproxy.files.database import Database
from imgproxy.files.model import StoredRequest, TenantId
from imgproxy.files.repository import idempotency


@dataclass(frozen=True, slots=True)
class IdempotencyStore:
    """Requests with an Idempotency-Key and their responses."""

    database: Database

    async def remember(
        self, tenant: TenantId, principal: str, key: str, *, request_sha256: bytes, now: int, expires_at: int
    ) -> StoredRequest | None:
        """Begin a request: None if it is new, or what is remembered of the first one with this key."""
        return await self.database.write(
            lambda connection: idempotency.begin_request(
                connection,
                tenant,
                principal,
                key,
                request_sha256=request_sha256,
                now=now,
                expires_at=expires_at,
            )
        )

    async def answer(self, tenant: TenantId, principal: str, key: str, remembered: StoredRequest) -> None:
        """Keep the answer of a request that has begun, and the fingerprint that it has now."""
        await self.database.write(
            lambda connection: idempotency.save_response(connection, tenant, principal, key, remembered)
        )

    async def forget(self, tenant: TenantId, principal: str, key: str) -> None:
        """Forget a request that failed, so that it may be tried again."""
        await self.database.write(lambda c: idempotency.delete_request(c, tenant, principal, key))
