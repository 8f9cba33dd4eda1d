"""Quality goes down until the answer is small enough, or quality is as low as it goes."""

from __future__ import annotations

import pytest

from imgproxy.image.formats import Format
from tests.pictures import canonical, made, noise, refusal


@pytest.mark.parametrize("kind", [Format.JPEG, Format.WEBP, Format.AVIF])
def test_the_answer_fits(kind: Format) -> None:
    free = made(noise(120, 120), to=kind)
    bound = made(noise(120, 120), f"max_bytes({len(free.data) * 2 // 3})", to=kind)
    assert len(bound.data) <= len(free.data) * 2 // 3
    assert bound.size == free.size


def test_what_fits_at_once_is_written_once() -> None:
    assert (
        made(noise(60, 60), "max_bytes(100000)", to=Format.JPEG).data
        == made(noise(60, 60), to=Format.JPEG).data
    )


def test_below_quality_10_it_gives_up() -> None:
    least = made(noise(120, 120), "max_bytes(1)", to=Format.JPEG)
    assert len(least.data) > 1
    assert least.rendered.size == len(least.data)
    assert len(least.data) <= len(made(noise(120, 120), "quality(10)", to=Format.JPEG).data)


def test_a_type_without_quality_stays_as_it_is() -> None:
    assert made(noise(60, 60), "max_bytes(1)").data == made(noise(60, 60)).data


def test_it_is_in_the_key() -> None:
    assert canonical("max_bytes(5)") == "max_bytes(5)"


@pytest.mark.parametrize("text", ["max_bytes()", "max_bytes(0)", "max_bytes(1000000001)", "max_bytes(10k)"])
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("max_bytes: ")
