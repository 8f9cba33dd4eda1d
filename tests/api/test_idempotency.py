"""The same request, sent again: done once, answered twice."""

from __future__ import annotations

import logging

import pytest

from imgproxy.api.fingerprint import Fingerprint
from imgproxy.api.idempotency import ABANDONED_MS, KEPT_MS, Once, Repeatable, parse_key
from imgproxy.api.reply import Reply
from imgproxy.api.seal import Seal
from imgproxy.errors import FileNotFound, InvalidRequest, KeyReused, StillRunning, Unavailable
from imgproxy.files.model import TenantId
from imgproxy.files.principal import Kind, Principal
from tests.api.shell import Clock, RepliesInMemory

OLGA = Principal(TenantId("acme"), Kind.USER, "olga")
OTTO = Principal(TenantId("acme"), Kind.USER, "otto")


def asked(body: bytes = b"a request", *, signs: bool = False) -> Repeatable:
    return Repeatable("k", Fingerprint("POST", "/v1/files", body), signs=signs)


def streamed(*parts: bytes) -> Repeatable:
    """A request whose parts are known once they are read."""
    fingerprint = Fingerprint("POST", "/v1/files")

    async def read() -> None:
        for part in parts:
            fingerprint.add(part)

    return Repeatable("k", fingerprint, read)


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


class Reading(Work):
    """Reads the body first."""

    def __init__(self, request: Repeatable) -> None:
        super().__init__()
        self.request = request

    async def __call__(self) -> Reply:
        await self.request.read()
        return await super().__call__()


def parts() -> tuple[Once, RepliesInMemory, Clock]:
    replies, clock = RepliesInMemory(), Clock()
    return Once(replies, seal=Seal(bytes(32)), clock=clock.milliseconds), replies, clock


async def test_the_answer_comes_again_for_a_day() -> None:
    once, _, clock = parts()
    work = Work()
    first = await once.run(OLGA, asked(), work)
    clock.now += KEPT_MS / 1000 - 1
    assert await once.run(OLGA, asked(), work) == Reply(201, first.headers, b"made", replayed=True)
    clock.now += 1
    assert not (await once.run(OLGA, asked(), work)).replayed
    assert work.done == 2


async def test_a_key_is_ones_own() -> None:
    once, _, _ = parts()
    work = Work()
    await once.run(OLGA, asked(), work)
    await once.run(OTTO, asked(), work)
    assert work.done == 2


async def test_a_key_with_another_request_is_refused() -> None:
    once, _, _ = parts()
    await once.run(OLGA, asked(), Work())
    with pytest.raises(KeyReused):
        await once.run(OLGA, asked(b"another request"), Work())


async def test_what_failed_may_be_tried_again() -> None:
    once, _, _ = parts()
    with pytest.raises(FileNotFound):
        await once.run(OLGA, asked(), Work(FileNotFound("not yet")))
    assert (await once.run(OLGA, asked(), Work())).body == b"made"


async def test_who_began_and_never_ended_is_given_up_after_a_minute() -> None:
    once, replies, clock = parts()
    await replies.remember(
        OLGA.tenant,
        OLGA.name,
        "k",
        request_sha256=asked().fingerprint.digest(),
        now=clock.milliseconds(),
        expires_at=2**53,
    )
    clock.now += ABANDONED_MS / 1000 - 1
    with pytest.raises(StillRunning):
        await once.run(OLGA, asked(), Work())
    clock.now += 1
    assert (await once.run(OLGA, asked(), Work())).body == b"made"


async def test_what_is_done_is_answered_even_if_it_cannot_be_remembered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    once, replies, _ = parts()
    replies.error = Unavailable("down")
    assert (await once.run(OLGA, asked(), Work())).status == 201
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(("header", "key"), [("abc", "abc"), ('"abc"', "abc"), (" a b ", "a b"), ('"', '"')])
def test_a_key_may_stand_in_quotes(header: str, key: str) -> None:
    assert parse_key(header) == key


@pytest.mark.parametrize("header", ["", '""', "é", "a\tb", "x" * 256])
def test_what_is_no_key_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_key(header)


async def test_once_run_of_a_streamed_body_compares_what_was_read() -> None:
    once, _, _ = parts()
    first = streamed(b"1" * 32, b"2" * 32)
    await once.run(OLGA, first, Reading(first))
    work = Work()
    assert (await once.run(OLGA, streamed(b"1" * 32, b"2" * 32), work)).replayed
    for other in (streamed(b"1" * 32, b"3" * 32), streamed(b"1" * 32), streamed(), asked()):
        with pytest.raises(KeyReused):
            await once.run(OLGA, other, work)
    assert work.done == 0


async def test_once_run_while_a_streamed_body_is_under_way_reads_nothing_of_another() -> None:
    once, replies, clock = parts()
    await replies.remember(
        OLGA.tenant,
        OLGA.name,
        "k",
        request_sha256=streamed().fingerprint.digest(),
        now=clock.milliseconds(),
        expires_at=2**53,
    )
    second = streamed(b"1" * 32)
    with pytest.raises(StillRunning):
        await once.run(OLGA, second, Work())
    assert second.fingerprint.digest() == streamed().fingerprint.digest()


async def test_once_run_keeps_a_signed_url_encrypted() -> None:
    once, replies, _ = parts()
    await once.run(OLGA, asked(signs=True), Work())
    ((kept, _),) = replies.kept.values()
    assert b"made" not in kept.body
    assert (await once.run(OLGA, asked(signs=True), Work())).body == b"made"


async def test_once_run_signs_anew_if_its_secret_is_another() -> None:
    once, replies, clock = parts()
    await once.run(OLGA, asked(signs=True), Work())
    restarted = Once(replies, seal=Seal(b"2" * 32), clock=clock.milliseconds)
    with pytest.raises(KeyReused):
        await restarted.run(OLGA, asked(b"another request", signs=True), Work())
    assert not (await restarted.run(OLGA, asked(signs=True), Work())).replayed
    assert (await restarted.run(OLGA, asked(signs=True), Work())).replayed


async def test_once_run_answers_what_holds_no_signed_url_whatever_its_secret() -> None:
    once, replies, clock = parts()
    await once.run(OLGA, asked(), Work())
    restarted = Once(replies, seal=Seal(b"2" * 32), clock=clock.milliseconds)
    assert (await restarted.run(OLGA, asked(), Work())).replayed
