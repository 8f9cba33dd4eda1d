"""Quality is paid for in bytes."""

from __future__ import annotations

import pytest

from imgproxy.engine.worker_protocol import Encoding
from imgproxy.image.formats import Format
from tests.pictures import array, asked, canonical, gradient, made, noise, refusal


@pytest.mark.parametrize("kind", [Format.JPEG, Format.WEBP, Format.AVIF])
def test_more_quality_is_nearer_to_the_image_and_has_more_bytes(kind: Format) -> None:
    low, high = (made(noise(80, 80), f"quality({n})", to=kind) for n in (10, 95))
    assert len(low.data) < len(high.data)
    far, near = (abs(each.pixels - array(noise(80, 80))).mean() for each in (low, high))
    assert near < far


def test_the_urls_word_counts_more_than_the_settings() -> None:
    settings = Encoding(quality={Format.JPEG: 20})
    asked_for = made(noise(40, 40), "quality(80)", to=Format.JPEG, encoding=settings)
    assert (
        asked_for.data
        == made(noise(40, 40), to=Format.JPEG, encoding=Encoding(quality={Format.JPEG: 80})).data
    )


def test_png_has_none() -> None:
    assert made(gradient(9, 9), "quality(1)").data == made(gradient(9, 9)).data


def test_the_last_one_is_in_the_key() -> None:
    assert canonical("quality(5)", "quality(70)") == "quality(70)"
    assert asked().options.quality is None


@pytest.mark.parametrize("text", ["quality()", "quality(0)", "quality(101)", "quality(7.5)", "quality(best)"])
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("quality: ")
