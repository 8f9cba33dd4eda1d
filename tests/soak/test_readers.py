"""Thousands of damaged files of every type go through a locked-in worker, and bombs; each is answered.

What a file does to its worker is told: no crash is expected, and none is hidden.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter

import pytest

from imgproxy.engine.pool import Pool
from imgproxy.engine.protocol import Encoding, Job
from imgproxy.errors import ImageError, ImgproxyError
from imgproxy.image.formats import Format
from imgproxy.image.negotiate import Output
from tests.engine.readers.files import pdf
from tests.engine.readers.test_readers import FILES
from tests.engine.test_locked_in import ORIGINALS
from tests.pictures import CEILING, asked, descriptor
from tests.soak.conftest import Tell

_EACH = 600


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


@pytest.mark.soak
async def test_readers_answer_thousands_of_damaged_files(tell: Tell) -> None:
    pool = Pool(2, 8)
    await pool.start()
    draw = random.Random(11)  # noqa: S311  the same every time
    found: Counter[tuple[str, str]] = Counter()
    try:
        for kind, whole in {**ORIGINALS, **FILES}.items():
            for _ in range(_EACH):
                data = bytearray(whole)
                for _ in range(draw.choice([1, 2, 8, 40])):
                    data[draw.randrange(len(data))] = draw.randrange(256)
                if draw.random() < 0.2:
                    del data[draw.randrange(len(data)) :]
                found[kind, await _outcome(pool, bytes(data))] += 1
            counts = {word: count for (each, word), count in found.items() if each == kind}
            tell(f"{kind}: {counts}")
        outcomes = dict(pool.outcomes)
    finally:
        await pool.close()
    tell(f"outcomes: {outcomes}")
    known = {"shown", "BrokenImage", "UnsupportedImage", "ImageTooLarge", "TransformFailed", "DeadlinePassed"}
    assert {word for _, word in found} <= known
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
