"""Promises of `imgproxy.files.repository.idempotency`."""

from __future__ import annotations

import asyncio

from imgproxy.files.database import Connection, Database
from imgproxy.files.model import StoredRequest
from imgproxy.files.repository import idempotency
from tests.files.samples import ACME, NOW, OTHER

ANSWER = StoredRequest(b"sha", NOW, status=201, headers={"ETag": '"1"'}, body=b"\x00{}")


def _remember(connection: Connection, *, now: int = NOW, key: str = "key") -> StoredRequest | None:
    return idempotency.begin_request(
        connection, ACME, "user:ann", key, request_sha256=b"sha", now=now, expires_at=now + 10
    )


async def test_the_first_is_new_and_the_second_hears_that_it_is_under_way(database: Database) -> None:
    assert await database.write(_remember) is None
    assert await database.write(_remember) == StoredRequest(b"sha", NOW)


async def test_of_many_at_once_one_is_the_first(database: Database) -> None:
    found = await asyncio.gather(*(database.write(_remember) for _ in range(6)))
    assert found.count(None) == 1


async def test_an_answer_is_remembered(database: Database) -> None:
    await database.write(_remember)
    await database.write(lambda c: idempotency.save_response(c, ACME, "user:ann", "key", ANSWER))
    assert await database.write(_remember) == ANSWER


async def test_a_key_is_of_one_tenant_and_principal(database: Database) -> None:
    await database.write(_remember)

    def others(connection: Connection) -> list[StoredRequest | None]:
        return [
            idempotency.begin_request(
                connection, tenant, principal, "key", request_sha256=b"", now=NOW, expires_at=NOW + 1
            )
            for tenant, principal in [(OTHER, "user:ann"), (ACME, "user:bob")]
        ]

    assert await database.write(others) == [None, None]


async def test_a_request_that_failed_may_be_tried_again(database: Database) -> None:
    await database.write(_remember)
    await database.write(lambda c: idempotency.delete_request(c, ACME, "user:ann", "key"))
    assert await database.write(_remember) is None


async def test_what_has_expired_is_new_again_and_can_be_swept(database: Database) -> None:
    await database.write(_remember)
    await database.write(lambda c: _remember(c, key="another", now=NOW + 5))
    assert await database.write(lambda c: _remember(c, now=NOW + 10)) is None
    assert await database.write(lambda c: idempotency.delete_expired_requests(c, now=NOW + 15)) == 1
