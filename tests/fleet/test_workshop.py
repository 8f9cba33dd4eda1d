"""Jobs of one name under way at once are one job, whoever asks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace

import pytest

from imgproxy.clients import Waiters
from imgproxy.engine.pool import Result
from imgproxy.engine.worker_protocol import Job, Rendered
from imgproxy.errors import EngineFailed, Overloaded
from imgproxy.fleet.channel import Lent
from imgproxy.fleet.words import Run
from imgproxy.fleet.workshop import Workshop
from imgproxy.image.formats import Format
from tests.engine.jobs import JOB
from tests.fleet.processes import descriptors

RENDERED = Rendered(Format.JPEG, 1, 1, 1, 1, 0, 0)


class Engine:
    """Answers by the original's bytes when told to go on."""

    def __init__(self) -> None:
        self.runs = 0
        self.cancelled = 0
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def run(self, job: Job, original: int | None, overlays: Sequence[int], waiters: Waiters) -> Result:
        self.runs += 1
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        read = [os.pread(each, 100, 0) for each in (original, *overlays) if each is not None]
        return Result(RENDERED, b" ".join(read), 0, 0)


def lent(*texts: str) -> Lent:
    """Descriptors of files that say so."""
    made = [os.memfd_create("original") for _ in texts]
    for descriptor, text in zip(made, texts, strict=True):
        os.write(descriptor, text.encode())
    return Lent(made)


async def ask(workshop: Workshop, name: str, text: str) -> bytes:
    """Ask as a channel does, which closes what was not taken."""
    given = lent(text)
    try:
        return (await workshop.run(Run(replace(JOB, name=name), True), given)).body
    finally:
        given.close()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_name_is_one_job_and_leaves_nothing_open() -> None:
    before, engine = descriptors(), Engine()
    workshop = Workshop(engine)
    asking = [asyncio.create_task(ask(workshop, "n@1", "bytes")) for _ in range(20)]
    await settle()
    engine.go_on.set()
    assert set(await asyncio.gather(*asking)) == {b"bytes"}
    assert (engine.runs, descriptors()) == (1, before)


async def test_who_asks_after_a_purge_is_not_given_what_was_read_before() -> None:
    engine = Engine()
    workshop = Workshop(engine)
    before = asyncio.create_task(ask(workshop, "n@1", "old"))
    await settle()
    after = asyncio.create_task(ask(workshop, "n@2", "new"))
    await settle()
    engine.go_on.set()
    assert (await before, await after) == (b"old", b"new")


async def test_jobs_without_a_name_are_never_one() -> None:
    engine = Engine()
    engine.go_on.set()
    workshop = Workshop(engine)
    assert await asyncio.gather(ask(workshop, "", "a"), ask(workshop, "", "b")) == [b"a", b"b"]


async def test_who_began_it_may_leave_and_its_descriptors_stay() -> None:
    before, engine = descriptors(), Engine()
    workshop = Workshop(engine)
    first = asyncio.create_task(ask(workshop, "n", "first"))
    await settle()
    second = asyncio.create_task(ask(workshop, "n", "second"))
    await settle()
    first.cancel()
    await settle()
    engine.go_on.set()
    assert await second == b"first"
    assert (engine.runs, engine.cancelled, descriptors()) == (1, 0, before)


async def test_when_the_last_leaves_the_job_is_given_up_and_nothing_is_open() -> None:
    before, engine = descriptors(), Engine()
    workshop = Workshop(engine)
    asking = [asyncio.create_task(ask(workshop, "n", "x")) for _ in range(3)]
    await settle()
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await settle()
    assert (engine.cancelled, descriptors()) == (1, before)


async def test_an_error_goes_to_everybody_who_asked() -> None:
    engine = Engine()
    engine.error = Overloaded("later", retry_after=9)
    engine.go_on.set()
    workshop = Workshop(engine)
    failed = await asyncio.gather(*(ask(workshop, "n", "x") for _ in range(3)), return_exceptions=True)
    assert [getattr(each, "retry_after", 0) for each in failed] == [9] * 3
    assert engine.runs == 1


async def test_descriptors_that_are_not_all_there_are_not_taken_for_others() -> None:
    before, engine = descriptors(), Engine()
    with pytest.raises(EngineFailed):
        await Workshop(engine).run(Run(replace(JOB, overlays=("logo",)), True), lent("only one"))
    assert (engine.runs, descriptors()) == (0, before)
