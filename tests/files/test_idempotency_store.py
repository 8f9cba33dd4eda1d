"""Requests with an Idempotency-Key over the record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imgproxy.files.api_keys import ApiKeyStore
from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.idempotency_store import IdempotencyStore
from imgproxy.files.model import StoredRequest, TenantId

ACME = TenantId("acme")
ASKED = b"\x07" * 32


@pytest.fixture
async def replies(tmp_path: Path) -> AsyncIterator[IdempotencyStore]:
    database = await open_database(SqliteUrl(tmp_path / "imgproxy.db"))
    await database.migrate()
    await ApiKeyStore(database).add(id_="1", tenant=ACME, kind="pk", sha256=b"\x01" * 32, now=0)
    yield IdempotencyStore(database)
    await database.close()


async def begin(replies: IdempotencyStore, *, now: int = 100) -> StoredRequest | None:
    return await replies.remember(
        ACME, "user:olga", "k", request_sha256=ASKED, now=now, expires_at=now + 1000
    )


async def test_the_first_is_new_and_the_second_sees_it_under_way(replies: IdempotencyStore) -> None:
    assert await begin(replies) is None
    assert await begin(replies, now=200) == StoredRequest(ASKED, created_at=100)


async def test_an_answer_is_kept_as_it_was_until_it_expires(replies: IdempotencyStore) -> None:
    await begin(replies)
    answer = StoredRequest(ASKED, 100, 201, {"ETag": '"1"'}, b'{"id":1}')
    await replies.answer(ACME, "user:olga", "k", answer)
    assert await begin(replies, now=1099) == answer
    assert await begin(replies, now=1100) is None


async def test_what_failed_is_forgotten(replies: IdempotencyStore) -> None:
    await begin(replies)
    await replies.forget(ACME, "user:olga", "k")
    assert await begin(replies) is None
