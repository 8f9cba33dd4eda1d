"""A type that the URL names is the type that is written."""

from __future__ import annotations

import pytest

from imgproxy.image.formats import WRITTEN, Format
from imgproxy.image.negotiate import negotiate
from tests.pictures import asked, canonical, gradient, refusal, render


@pytest.mark.parametrize("name", WRITTEN)
def test_the_answer_is_of_the_type_that_was_named(name: Format) -> None:
    wish = asked(f"format({name})", width=20)
    output = negotiate(wish.options.format, "image/avif,image/webp", automatic=(Format.AVIF, Format.WEBP))
    made = render(gradient(30, 30).write_to_buffer(".png"), wish, to=output.candidates[0])
    assert made.rendered.format is name


def test_another_word_for_a_type_is_the_same_key() -> None:
    assert canonical("format(jpg)") == canonical("format(jpeg)") != canonical()


def test_the_last_one_wins() -> None:
    assert asked("format(png)", "format(webp)") == asked("format(webp)")


@pytest.mark.parametrize("text", ["format()", "format(svg)", "format(JPEG)", "format(bmp)", "format(png,1)"])
def test_what_we_do_not_write_is_refused(text: str) -> None:
    assert refusal(text).startswith("format: ")
