"""Promises of `imgproxy.files.repository.collections`."""

from __future__ import annotations

from dataclasses import replace

from imgproxy.files.collections import DEFAULTS
from imgproxy.files.database import Database
from imgproxy.files.model import Collection, Visibility
from imgproxy.files.repository import collections
from tests.files.samples import ACME, OTHER

OWN = Collection("images", Visibility.PRIVATE, 5, ("image/png", "text/*"), min_size=2, retention=7)


async def test_a_tenant_without_rows_has_the_defaults(database: Database) -> None:
    assert (
        await database.read(lambda c: collections.collection_by_name(c, ACME, "images"))
        == (DEFAULTS["images"])
    )
    assert await database.read(lambda c: collections.collection_by_name(c, ACME, "nothing")) is None


async def test_a_tenants_own_collection_goes_before_the_default_and_is_nobody_elses(
    database: Database,
) -> None:
    await database.write(lambda c: collections.set_collection(c, ACME, replace(OWN, max_size=1)))
    await database.write(lambda c: collections.set_collection(c, ACME, OWN))
    assert await database.read(lambda c: collections.collection_by_name(c, ACME, "images")) == OWN
    assert (
        await database.read(lambda c: collections.collection_by_name(c, OTHER, "images"))
        == (DEFAULTS["images"])
    )


async def test_all_collections_are_the_defaults_and_a_tenants_own_by_name(database: Database) -> None:
    new = replace(OWN, name="aaa")
    await database.write(lambda c: collections.set_collection(c, ACME, OWN))
    await database.write(lambda c: collections.set_collection(c, ACME, new))
    found = await database.read(lambda c: collections.collections_of(c, ACME))
    expected = {**DEFAULTS, "images": OWN, "aaa": new}
    assert found == tuple(expected[name] for name in sorted(expected))
