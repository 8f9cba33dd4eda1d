"""API keys over the record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from imgproxy.files.api_keys import ApiKeyStore
from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.model import ApiKey, TenantId

ACME, OTHER = TenantId("acme"), TenantId("other")
KEY = ApiKey("1", ACME, "sk", b"\x01" * 32, created_at=5)


@pytest.fixture
async def keyring(tmp_path: Path) -> AsyncIterator[ApiKeyStore]:
    database = await open_database(SqliteUrl(tmp_path / "imgproxy.db"))
    await database.migrate()
    yield ApiKeyStore(database)
    await database.close()


async def add(keyring: ApiKeyStore, key: ApiKey) -> ApiKey:
    return await keyring.add(
        id_=key.id, tenant=key.tenant, kind=key.kind, sha256=key.sha256, now=key.created_at
    )


async def test_a_key_is_found_by_its_hash_as_it_was_made(keyring: ApiKeyStore) -> None:
    assert await add(keyring, KEY) == KEY
    assert await keyring.api_key(KEY.sha256) == KEY
    assert await keyring.api_key(b"\x02" * 32) is None


async def test_a_tenant_may_have_several_keys(keyring: ApiKeyStore) -> None:
    second = replace(KEY, id="2", kind="pk", sha256=b"\x02" * 32)
    await add(keyring, KEY)
    await add(keyring, second)
    assert await keyring.api_key(second.sha256) == second


async def test_a_key_is_revoked_once_and_by_its_tenant_only(keyring: ApiKeyStore) -> None:
    await add(keyring, KEY)
    assert not await keyring.revoke(OTHER, KEY.id, now=9)
    assert await keyring.revoke(ACME, KEY.id, now=9)
    assert not await keyring.revoke(ACME, KEY.id, now=10)
    assert await keyring.api_key(KEY.sha256) == replace(KEY, revoked_at=9)
