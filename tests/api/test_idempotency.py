"""The same request, sent again: done once, answered twice."""

from __future__ import annotations

import logging

import pytest

from imgproxy.api.idempotency import ABANDONED_MS, KEPT_MS, Once, fingerprint_of, parse_key
from imgproxy.api.reply import Reply
from imgproxy.errors import FileNotFound, InvalidRequest, KeyReused, StillRunning, Unavailable
from imgproxy.files.model import TenantId
from imgproxy.files.principal import Kind, Principal
from tests.api.shell import Clock, RepliesInMemory

OLGA = Principal(TenantId("acme"), Kind.USER, "olga")
OTTO = Principal(TenantId("acme"), Kind.USER, "otto")
ASKED = b"\x01" * 32


class Work:
    """Counts how often it is done."""

    def __init__(self, error: Exception | None = None) -> None:
        self.done = 0
        self.error = error

    async def __call__(self) -> Reply:
        self.done += 1
        if self.error is not None:
            raise self.error
        return Reply(201, {"ETag": '"1"'}, b"made")


def parts() -> tuple[Once, RepliesInMemory, Clock]:
    replies, clock = RepliesInMemory(), Clock()
    return Once(replies, clock=clock.milliseconds), replies, clock


async def test_the_answer_comes_again_for_a_day() -> None:
    once, _, clock = parts()
    work = Work()
    first = await once.run(OLGA, "k", ASKED, work)
    clock.now += KEPT_MS / 1000 - 1
    assert await once.run(OLGA, "k", ASKED, work) == Reply(201, first.headers, b"made", replayed=True)
    clock.now += 1
    assert not (await once.run(OLGA, "k", ASKED, work)).replayed
    assert work.done == 2


async def test_a_key_is_ones_own() -> None:
    once, _, _ = parts()
    work = Work()
    await once.run(OLGA, "k", ASKED, work)
    await once.run(OTTO, "k", ASKED, work)
    assert work.done == 2


async def test_a_key_with_another_request_is_refused() -> None:
    once, _, _ = parts()
    await once.run(OLGA, "k", ASKED, Work())
    with pytest.raises(KeyReused):
        await once.run(OLGA, "k", b"\x02" * 32, Work())


async def test_what_failed_may_be_tried_again() -> None:
    once, _, _ = parts()
    with pytest.raises(FileNotFound):
        await once.run(OLGA, "k", ASKED, Work(FileNotFound("not yet")))
    assert (await once.run(OLGA, "k", ASKED, Work())).body == b"made"


async def test_who_began_and_never_ended_is_given_up_after_a_minute() -> None:
    once, replies, clock = parts()
    await replies.remember(
        OLGA.tenant, OLGA.name, "k", request_sha256=ASKED, now=clock.milliseconds(), expires_at=2**53
    )
    clock.now += ABANDONED_MS / 1000 - 1
    with pytest.raises(StillRunning):
        await once.run(OLGA, "k", ASKED, Work())
    clock.now += 1
    assert (await once.run(OLGA, "k", ASKED, Work())).body == b"made"


async def test_what_is_done_is_answered_even_if_it_cannot_be_remembered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    once, replies, _ = parts()
    replies.error = Unavailable("down")
    assert (await once.run(OLGA, "k", ASKED, Work())).status == 201
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(("header", "key"), [("abc", "abc"), ('"abc"', "abc"), (" a b ", "a b"), ('"', '"')])
def test_a_key_may_stand_in_quotes(header: str, key: str) -> None:
    assert parse_key(header) == key


@pytest.mark.parametrize("header", ["", '""', "é", "a\tb", "x" * 256])
def test_what_is_no_key_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_key(header)


def test_method_target_and_body_make_a_request() -> None:
    prints = {
        fingerprint_of("POST", "/v1/files", b"{}"),
        fingerprint_of("PUT", "/v1/files", b"{}"),
        fingerprint_of("POST", "/v1/files/", b"{}"),
        fingerprint_of("POST", "/v1/files", b"{ }"),
    }
    assert len(prints) == 4
