"""A job's images are counted before they are computed."""

from __future__ import annotations

import pytest

from imgproxy.engine.memory_budget import MemoryBudget
from imgproxy.errors import BadArgument, ImageTooLarge
from imgproxy.image.formats import Format
from tests.pictures import CEILING, encoded, made, noise, plain

MIB = 1024 * 1024


def test_what_is_taken_adds_up_to_the_limit() -> None:
    budget = MemoryBudget(10 * MIB)
    budget.take(6 * MIB)
    budget.take(4 * MIB)
    with pytest.raises(ImageTooLarge, match="would take 11 MiB of memory: at most 10 are allowed"):
        budget.take(1)


def test_what_is_not_kept_can_be_taken_again() -> None:
    budget = MemoryBudget(10 * MIB)
    budget.take(6 * MIB)
    budget.keep(2 * MIB)
    budget.take(8 * MIB)
    with pytest.raises(ImageTooLarge):
        budget.take(1)


@pytest.mark.parametrize("calls", [("blur(2)", "brightness(3)"), ("round_corner(3)",), ("watermark(mark)",)])
def test_a_job_that_needs_more_memory_than_it_may_take_is_refused(calls: tuple[str, ...]) -> None:
    image, overlays = encoded(noise(400, 300)), {"mark": encoded(noise(900, 700))}
    assert made(image, *calls, overlays=overlays, ceiling=CEILING._replace(memory=20 * MIB))
    with pytest.raises(ImageTooLarge, match="of memory"):
        made(image, *calls, overlays=overlays, ceiling=CEILING._replace(memory=MIB // 2))


def test_an_encoder_that_needs_more_memory_than_the_job_may_take_is_refused() -> None:
    with pytest.raises(ImageTooLarge, match="of memory"):
        made(noise(400, 300), to=Format.AVIF, ceiling=CEILING._replace(memory=2 * MIB))


def test_a_watermark_larger_than_an_image_may_be_is_refused() -> None:
    with pytest.raises(BadArgument, match="would have 400×400 pixels: at most 300 a side"):
        made(
            plain(100, 100, (1, 2, 3)),
            "watermark(mark,0,0,0,400,400)",
            overlays={"mark": encoded(plain(9, 9, (4, 5, 6)))},
            ceiling=CEILING._replace(side=300),
        )
