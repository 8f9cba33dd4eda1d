"""API keys."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from imgproxy.api.keys import BELIEVED_SECONDS, Keys, draw_key, sha256_of
from imgproxy.errors import AuthenticationRequired, Unavailable
from tests.api.shell import NOW, PUBLISHABLE, SECRET_KEY, Clock, KeysInMemory


def known() -> tuple[Keys, KeysInMemory, Clock]:
    record, clock = KeysInMemory(), Clock()
    record.add(PUBLISHABLE, "acme")
    return Keys(record, clock=clock.milliseconds, timer=clock), record, clock


async def test_a_key_is_known_by_its_hash() -> None:
    keys, _, _ = known()
    assert (await keys.find(PUBLISHABLE)).tenant == "acme"


async def test_a_key_is_the_same_in_either_case() -> None:
    keys, _, _ = known()
    assert (await keys.find("pk_" + PUBLISHABLE[3:].upper())).tenant == "acme"


@pytest.mark.parametrize(
    "text", ["", "pk_", "pk_" + "g" * 64, "xk_" + "a1" * 32, PUBLISHABLE + "a", PUBLISHABLE + "\n"]
)
async def test_what_cannot_be_a_key_is_looked_up_nowhere(text: str) -> None:
    keys, record, _ = known()
    with pytest.raises(AuthenticationRequired):
        await keys.find(text)
    assert record.asked == 0


async def test_the_record_is_asked_once_for_all_who_come_within_seconds() -> None:
    keys, record, clock = known()
    await asyncio.gather(*(keys.find(PUBLISHABLE) for _ in range(5)))
    clock.now += BELIEVED_SECONDS - 0.1
    await keys.find(PUBLISHABLE)
    assert record.asked == 1


async def test_that_there_is_no_such_key_is_remembered_as_long() -> None:
    keys, record, clock = known()
    for _ in range(3):
        with pytest.raises(AuthenticationRequired):
            await keys.find(SECRET_KEY)
    assert record.asked == 1
    record.add(SECRET_KEY, "acme")
    clock.now += BELIEVED_SECONDS
    assert (await keys.find(SECRET_KEY)).kind == "sk"


async def test_a_revoked_key_ends_within_seconds() -> None:
    keys, record, clock = known()
    key = await keys.find(PUBLISHABLE)
    record.keys[key.sha256] = replace(key, revoked_at=NOW * 1000)
    clock.now += BELIEVED_SECONDS
    with pytest.raises(AuthenticationRequired):
        await keys.find(PUBLISHABLE)


async def test_a_key_ends_at_its_instant_remembered_or_not() -> None:
    keys, record, clock = known()
    record.add(SECRET_KEY, "acme", expires_at=(NOW + 1) * 1000)
    await keys.find(SECRET_KEY)
    clock.now += 1
    with pytest.raises(AuthenticationRequired, match="expired"):
        await keys.find(SECRET_KEY)


async def test_a_record_that_does_not_answer_says_nothing_of_a_key() -> None:
    keys, record, _ = known()
    record.error = Unavailable("down")
    with pytest.raises(Unavailable):
        await keys.find(PUBLISHABLE)
    record.error = None
    assert (await keys.find(PUBLISHABLE)).tenant == "acme"


def test_a_drawn_key_is_one_and_only_its_hash_is_kept() -> None:
    drawn = draw_key("sk", draw=lambda count: b"\x07" * count)
    assert drawn == "sk_" + "07" * 32
    assert len(sha256_of(drawn)) == 32
