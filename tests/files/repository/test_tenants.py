"""Tests of tenants, their API keys and their collections, on both engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update

from imgproxy.errors import Conflict
from imgproxy.files.database import Connection, Database
from imgproxy.files.model import ApiKey, Collection, Tenant, Visibility
from imgproxy.files.repository import tenants
from imgproxy.files.tables import tenants as table
from tests.files.samples import ACME, NOW, OTHER, id_, set_collection

KEY = ApiKey(id_(), ACME, "sk", b"\0" * 31 + b"\xff", NOW, expires_at=NOW + 9)
OWN = Collection("images", Visibility.PRIVATE, 5, ("image/png", "text/*"), min_size=2, retention=7)


@pytest.fixture
async def known(database: Database) -> Database:
    """A database with a tenant and its key."""

    def work(connection: Connection) -> None:
        tenants.insert_tenant(connection, Tenant(ACME, "Acme", NOW))
        tenants.insert_key(connection, KEY)

    await database.write(work)
    return database


async def test_insert_tenant_of_a_taken_id_raises_conflict(known: Database) -> None:
    with pytest.raises(Conflict):
        await known.write(lambda c: tenants.insert_tenant(c, Tenant(ACME, "second", NOW)))


async def test_key_by_sha256_returns_the_key_of_this_hash_alone(known: Database) -> None:
    assert await known.read(lambda c: tenants.key_by_sha256(c, KEY.sha256)) == KEY
    assert await known.read(lambda c: tenants.key_by_sha256(c, b"\0" * 32)) is None


async def test_key_by_sha256_of_a_disabled_tenant_returns_none(known: Database) -> None:
    await known.write(lambda c: c.execute(update(table).values(disabled_at=NOW)))
    assert await known.read(lambda c: tenants.key_by_sha256(c, KEY.sha256)) is None
    await known.write(lambda c: c.execute(update(table).values(disabled_at=None)))
    assert await known.read(lambda c: tenants.key_by_sha256(c, KEY.sha256)) == KEY


async def test_revoke_key_succeeds_once_and_for_its_tenant_only(known: Database) -> None:
    assert not await known.write(lambda c: tenants.revoke_key(c, OTHER, KEY.id, now=NOW))
    assert await known.write(lambda c: tenants.revoke_key(c, ACME, KEY.id, now=NOW + 1))
    assert not await known.write(lambda c: tenants.revoke_key(c, ACME, KEY.id, now=NOW + 2))
    revoked = await known.read(lambda c: tenants.key_by_sha256(c, KEY.sha256))
    assert revoked is not None
    assert revoked.revoked_at == NOW + 1


async def test_collection_by_name_without_rows_returns_none(database: Database) -> None:
    assert await database.read(lambda c: tenants.collection_by_name(c, ACME, "nothing")) is None


async def test_collection_by_name_returns_the_tenant_s_own(database: Database) -> None:
    await database.write(lambda c: set_collection(c, ACME, replace(OWN, max_size=1)))
    await database.write(lambda c: set_collection(c, ACME, OWN))
    assert await database.read(lambda c: tenants.collection_by_name(c, ACME, "images")) == OWN
    assert await database.read(lambda c: tenants.collection_by_name(c, OTHER, "images")) is None


async def test_collections_of_returns_own_by_name(database: Database) -> None:
    new = replace(OWN, name="aaa")
    await database.write(lambda c: set_collection(c, ACME, OWN))
    await database.write(lambda c: set_collection(c, ACME, new))
    assert await database.read(lambda c: tenants.collections_of(c, ACME)) == (new, OWN)
