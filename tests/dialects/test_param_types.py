"""Each kind of parameter writes what it reads, refuses what it does not expect, and is silent when unsaid."""

from __future__ import annotations

import pytest

from imgproxy.dialects.param_types import (
    QueryParam,
    argument_text,
    filtered,
    length,
    numbers,
    switch,
    text,
)
from imgproxy.dialects.request import Params
from imgproxy.errors import BadArgument

WIDTH = length("w", "width", "width")
QUALITY = numbers("q", "quality", alias="quality")
DOWNLOAD = text("download", "attachment", bare=("", "1", "true"))
WATERMARK = text("watermark", "watermark", safe=",/:")
UPSCALE = switch("upscale", "upscale", "no_upscale")
GRAYSCALE = switch("grayscale", "grayscale")


def read(parameter: QueryParam, value: str) -> Params:
    """The params of a query that says nothing else."""
    return Params(**parameter.read(value, {parameter.name: value}))


@pytest.mark.parametrize(
    ("parameter", "value", "params"),
    [
        (WIDTH, "300", Params(width=300)),
        (QUALITY, "80", Params(filters=(("quality", "80"),))),
        (numbers("blur"), "1,2", Params(filters=(("blur", "1,2"),))),
        (DOWNLOAD, "a,(b) 1.jpg", Params(filters=(("attachment", "a%2C%28b%29%201.jpg"),))),
        (WATERMARK, "a b/c(1.png,0,0", Params(filters=(("watermark", "a%20b/c%281.png,0,0"),))),
        (UPSCALE, "1", Params(filters=(("upscale", ""),))),
        (UPSCALE, "0", Params(filters=(("no_upscale", ""),))),
        (GRAYSCALE, "1", Params(filters=(("grayscale", ""),))),
    ],
)
def test_what_is_read_is_written_the_same(parameter: QueryParam, value: str, params: Params) -> None:
    assert read(parameter, value) == params
    assert parameter.write(params) == value


@pytest.mark.parametrize("parameter", [WIDTH, QUALITY, DOWNLOAD, WATERMARK, UPSCALE, GRAYSCALE])
def test_what_was_not_said_is_not_written(parameter: QueryParam) -> None:
    assert parameter.write(Params(height=3, filters=(("blur", "4"),))) is None


@pytest.mark.parametrize("value", ["", "-1", "+1", " 1", "1.5", "1e3", "٣", "²", "1" * 10])
def test_a_length_is_nothing_but_digits_and_not_many(value: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        read(WIDTH, value)


def test_a_length_of_zero_is_as_good_as_unsaid() -> None:
    assert read(WIDTH, "0") == Params()
    assert read(WIDTH, "007") == Params(width=7)


@pytest.mark.parametrize(
    ("parameter", "value", "complaint"),
    [
        (QUALITY, "101", "quality: n: a whole number from 1 to 100"),
        (WATERMARK, "logo.png,0,0,101", "watermark: alpha: "),
        (DOWNLOAD, "a" * 201, "attachment: name: "),
    ],
)
def test_what_a_filter_does_not_take_is_refused_in_the_filters_words(
    parameter: QueryParam, value: str, complaint: str
) -> None:
    with pytest.raises(BadArgument) as refusal:
        read(parameter, value)
    assert str(refusal.value).startswith(complaint)


@pytest.mark.parametrize(
    ("value", "filters"),
    [("", "upscale"), ("1", "upscale"), ("true", "upscale"), ("0", "no_upscale"), ("false", "no_upscale")],
)
def test_a_switch_knows_few_words_for_yes_and_no(value: str, filters: str) -> None:
    assert read(UPSCALE, value).filters == ((filters, ""),)
    for other in ("yes", "TRUE", "2", f"{value} "):
        with pytest.raises(ValueError, match=r"^$"):
            read(UPSCALE, other)


def test_a_switch_without_a_filter_that_says_no_says_nothing() -> None:
    assert read(GRAYSCALE, "0") == Params()


def test_a_bare_text_is_the_filter_without_arguments() -> None:
    assert {read(DOWNLOAD, value).filters for value in ("", "1", "true")} == {(("attachment", ""),)}
    assert read(DOWNLOAD, "0").filters == (("attachment", "0"),)


def test_the_first_filter_of_a_name_is_the_one_that_is_written() -> None:
    params = Params(filters=(("blur", "1"), ("blur", "2"), ("hue", "")))
    assert [argument_text(params, name) for name in ("blur", "hue", "rgb")] == ["1", "", None]


def test_a_filter_is_refused_before_it_is_a_word() -> None:
    assert filtered("blur", "1") == {"filters": (("blur", "1"),)}
    with pytest.raises(BadArgument, match="'nope' is not a filter"):
        filtered("nope", "")
