"""Promises of `imgproxy.files.repository.keys` and what they hang on: tenants."""

from __future__ import annotations

import pytest

from imgproxy.files.database import Connection, Database
from imgproxy.files.model import ApiKey, Tenant
from imgproxy.files.repository import keys, tenants
from tests.files.samples import ACME, NOW, OTHER, id_

KEY = ApiKey(id_(), ACME, "sk", b"\0" * 31 + b"\xff", NOW, expires_at=NOW + 9)


@pytest.fixture
async def known(database: Database) -> Database:
    """A record with a tenant and its key."""

    def work(connection: Connection) -> None:
        tenants.insert_tenant(connection, Tenant(ACME, "Acme", NOW))
        keys.insert_key(connection, KEY)

    await database.write(work)
    return database


async def test_a_key_is_found_by_its_hash_and_by_nothing_else(known: Database) -> None:
    assert await known.read(lambda c: keys.key_by_sha256(c, KEY.sha256)) == KEY
    assert await known.read(lambda c: keys.key_by_sha256(c, b"\0" * 32)) is None


async def test_a_key_of_a_disabled_tenant_is_not_found_until_it_is_enabled(known: Database) -> None:
    assert await known.write(lambda c: tenants.disable_tenant(c, ACME, now=NOW))
    assert await known.read(lambda c: keys.key_by_sha256(c, KEY.sha256)) is None
    assert await known.write(lambda c: tenants.disable_tenant(c, ACME, now=None))
    assert await known.read(lambda c: keys.key_by_sha256(c, KEY.sha256)) == KEY


async def test_a_key_is_revoked_once_and_by_its_tenant_only(known: Database) -> None:
    assert not await known.write(lambda c: keys.revoke_key(c, OTHER, KEY.id, now=NOW))
    assert await known.write(lambda c: keys.revoke_key(c, ACME, KEY.id, now=NOW + 1))
    assert not await known.write(lambda c: keys.revoke_key(c, ACME, KEY.id, now=NOW + 2))
    found = await known.read(lambda c: keys.key_by_sha256(c, KEY.sha256))
    assert found is not None
    assert found.revoked_at == NOW + 1
