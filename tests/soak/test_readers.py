"""Damaged files of every type go through a locked-in worker, and bombs; each is answered.

What a file does to its worker is told: no crash is expected, and none is hidden. `SOAK_FILES` says how many,
100,000 unless set. Each is drawn from its number, so `SOAK_FROM=30000` goes on where a run was broken off.
"""

from __future__ import annotations

import asyncio
import os
import random
import zlib
from collections import Counter
from collections.abc import Iterator

import pytest

from imgproxy.engine.pool import Pool
from imgproxy.engine.worker_protocol import Encoding, Job
from imgproxy.errors import ImageError, ImgproxyError
from imgproxy.image.formats import Format
from imgproxy.image.negotiate import Output
from tests.engine.readers.files import pdf
from tests.engine.readers.test_readers import FILES
from tests.engine.test_locked_in import ORIGINALS
from tests.pictures import CEILING, asked, descriptor
from tests.soak.conftest import Tell

_FILES = int(os.environ.get("SOAK_FILES", "100000"))
_FROM = int(os.environ.get("SOAK_FROM", "0"))
_ROUND = 2_000  # files between two lines of progress


def _expanding_pdf() -> bytes:
    """A page whose 1 MB of content is 1 GB of drawing."""
    packer = zlib.compressobj(9)
    line = b"0 0 m 9 9 l S\n" * 75_000
    packed = b"".join([*(packer.compress(line) for _ in range(1_000)), packer.flush()])
    plain = pdf(200, 100, "")
    return plain.replace(
        b"<</Length 0>>stream\n\nendstream",
        b"<</Length %d/Filter/FlateDecode>>stream\n%b\nendstream" % (len(packed), packed),
    )


async def _outcome(pool: Pool, data: bytes) -> str:
    job = Job(asked(width=40), Output((Format.PNG,)), Encoding(), CEILING, show_damaged=True, seconds=5)
    with descriptor(data) as number:
        try:
            await pool.run(job, number, [])
        except ImgproxyError as error:
            return (
                type(error).__name__ if isinstance(error, ImageError) else f"{type(error).__name__}: {error}"
            )
    return "shown"


def _damaged(number: int) -> tuple[str, bytes]:
    """The type and the bytes of a file, the same every time."""
    whole = {**ORIGINALS, **FILES}
    kind = list(whole)[number % len(whole)]
    draw, data = random.Random(number), bytearray(whole[kind])  # noqa: S311
    for _ in range(draw.choice([1, 2, 8, 40])):
        data[draw.randrange(len(data))] = draw.randrange(256)
    if draw.random() < 0.2:
        del data[draw.randrange(len(data)) :]
    if draw.random() < 0.1:  # a piece twice
        at, size = draw.randrange(len(data) + 1), draw.randrange(2000)
        data[at:at] = data[at : at + size]
    return kind, bytes(data)


@pytest.mark.soak
async def test_readers_answer_thousands_of_damaged_files(tell: Tell) -> None:
    pool = Pool(2, 8)
    await pool.start()
    found: Counter[tuple[str, str]] = Counter()

    async def read(numbers: Iterator[int]) -> None:
        for number in numbers:
            kind, data = _damaged(number)
            crashes = pool.outcomes.get("crash", 0)
            found[kind, await _outcome(pool, data)] += 1
            if pool.outcomes.get("crash", 0) > crashes:
                tell(f"a worker crashed at file {number}, a {kind}, or beside it")

    try:
        for begin in range(_FROM, _FILES, _ROUND):
            numbers = iter(range(begin, min(begin + _ROUND, _FILES)))
            await asyncio.gather(*(read(numbers) for _ in range(2)))
            words: Counter[str] = Counter()
            for (_, word), count in found.items():
                words[word] += count
            tell(f"{begin + _ROUND:,} of {_FILES:,}: {dict(words)}")
        outcomes = dict(pool.outcomes)
    finally:
        await pool.close()
    tell(f"outcomes: {outcomes}")
    known = {"shown", "BrokenImage", "UnsupportedImage", "ImageTooLarge", "TransformFailed", "DeadlinePassed"}
    unknown = {word: kind for kind, word in found if word.split(":")[0] not in known}
    assert unknown == {}
    assert outcomes.get("crash", 0) == 0


@pytest.mark.soak
async def test_readers_survive_a_pdf_that_expands(tell: Tell) -> None:
    pool = Pool(1, 8, spare=0)
    await pool.start()
    try:
        tell(await _outcome(pool, _expanding_pdf()))
        assert await _outcome(pool, FILES["pdf"]) == "shown"
    finally:
        await pool.close()
