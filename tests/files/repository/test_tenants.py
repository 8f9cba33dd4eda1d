"""Promises of `imgproxy.files.repository.tenants`."""

from __future__ import annotations

import pytest

from imgproxy.errors import Conflict
from imgproxy.files.database import Database
from imgproxy.files.model import Tenant
from imgproxy.files.repository import tenants
from tests.files.samples import ACME, NOW, OTHER


async def test_what_is_kept_comes_back_the_same(database: Database) -> None:
    given = Tenant(ACME, "Acme & Söhne", NOW, disabled_at=NOW + 1)
    await database.write(lambda c: tenants.insert_tenant(c, given))
    assert await database.read(lambda c: tenants.tenant_by_id(c, ACME)) == given
    assert await database.read(lambda c: tenants.tenant_by_id(c, OTHER)) is None


async def test_no_two_tenants_share_an_id(database: Database) -> None:
    await database.write(lambda c: tenants.insert_tenant(c, Tenant(ACME, "first", NOW)))
    with pytest.raises(Conflict):
        await database.write(lambda c: tenants.insert_tenant(c, Tenant(ACME, "second", NOW)))


async def test_disabling_nobody_is_told(database: Database) -> None:
    assert not await database.write(lambda c: tenants.disable_tenant(c, ACME, now=NOW))
