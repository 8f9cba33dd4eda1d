"""API keys over the record: found by their hash, made once, revoked for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imgproxy.errors import Conflict
from imgproxy.files.database import Database
from imgproxy.files.model import ApiKey, Tenant, TenantId
from imgproxy.files.repository import tenants


@dataclass(frozen=True, slots=True)
class ApiKeyStore:
    """The keys of a deployment."""

    database: Database

    async def api_key(self, sha256: bytes) -> ApiKey | None:
        """The key of a hash, revoked and expired ones too; raise `Unavailable`."""
        return await self.database.read(lambda connection: tenants.key_by_sha256(connection, sha256))

    async def add(
        self, *, id_: str, tenant: TenantId, kind: Literal["pk", "sk"], sha256: bytes, now: int
    ) -> ApiKey:
        """Keep a new key, and its tenant if that is new too."""
        key = ApiKey(id_, tenant, kind, sha256, created_at=now)
        await self._see_to(tenant, now)
        await self.database.write(lambda connection: tenants.insert_key(connection, key))
        return key

    async def revoke(self, tenant: TenantId, id_: str, *, now: int) -> bool:
        """End a key; return whether it was there and not ended yet."""
        return await self.database.write(lambda c: tenants.revoke_key(c, tenant, id_, now=now))

    async def _see_to(self, tenant: TenantId, now: int) -> None:
        """Have a tenant that is there; that it was there before is as good."""
        made = Tenant(tenant, tenant, now)
        try:
            await self.database.write(lambda connection: tenants.insert_tenant(connection, made))
        except Conflict:
            return
