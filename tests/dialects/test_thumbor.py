"""Paths are read as imagor reads them, and what is written is read back the same."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imgproxy.dialects.request import HIGHEST, Params
from imgproxy.dialects.thumbor import MAX_PATH_BYTES, generate, parse
from imgproxy.errors import BadArgument, BadKey, BadUrl

SIGNATURE = "VTAq7YIRbEXgtwAcsTMhAjvBuT8="


def bare(params: Params) -> Params:
    """What counts: not how the name was spelled, nor what was dropped."""
    return replace(params, path="", base64_image=False, ignored="")


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("", Params()),
        ("/", Params()),
        ("a.jpg", Params(image="a.jpg")),
        ("///a.jpg", Params(image="a.jpg")),
        ("unsafe/a.jpg", Params(unsafe=True, image="a.jpg")),
        ("unsafe//a.jpg", Params(unsafe=True, image="a.jpg")),
        ("unsafe", Params(image="unsafe")),
        ("unsafe/unsafe/a", Params(unsafe=True, image="unsafe/a")),
        (f"{SIGNATURE}/a.jpg", Params(hash=SIGNATURE, image="a.jpg")),
        ("a" * 16 + "/b", Params(image="a" * 16 + "/b")),
        ("a" * 17 + "/b", Params(hash="a" * 17, image="b")),
        ("unsafe/" + "a" * 17 + "/b", Params(unsafe=True, image="a" * 17 + "/b")),
        ("params/unsafe/a", Params(params=True, unsafe=True, image="a")),
        ("unsafe/params/a", Params(unsafe=True, image="params/a")),
        ("meta/a", Params(meta=True, image="a")),
        ("meta/meta/a", Params(meta=True, image="meta/a")),
        ("preset:card/a", Params(preset="card", image="a")),
        ("meta/preset:card/9x9/a", Params(meta=True, preset="card", width=9, height=9, image="a")),
        ("9x9/preset:card/a", Params(width=9, height=9, image="preset:card/a")),
        ("preset:/a", Params(image="preset:/a")),
    ],
)
def test_what_stands_before_the_options(path: str, params: Params) -> None:
    assert replace(parse(path), path="") == params


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("trim/a", Params(trim=True, trim_by="top-left", image="a")),
        ("trim:7/a", Params(trim=True, trim_by="top-left", trim_tolerance=7, image="a")),
        ("trim:bottom-right:7/a", Params(trim=True, trim_by="bottom-right", trim_tolerance=7, image="a")),
        ("trim:/a", Params(image="trim:/a")),
        ("1x2:3x4/a", Params(crop_left=1, crop_top=2, crop_right=3, crop_bottom=4, image="a")),
        (
            "0.1x.2:1.0x.5/a",
            Params(crop_left=0.1, crop_top=0.2, crop_right=1.0, crop_bottom=0.5, image="a"),
        ),
        ("2.5x0:1x1/a", Params(image="2.5x0:1x1/a")),
        ("fit-in/a", Params(fit_in=True, image="a")),
        ("full-fit-in/a", Params(fit_in=True, full_fit_in=True, image="a")),
        ("adaptive-fit-in/a", Params(fit_in=True, adaptive_fit_in=True, image="a")),
        ("adaptive-full-fit-in/a", Params(fit_in=True, adaptive_fit_in=True, full_fit_in=True, image="a")),
        ("unsafe/full-adaptive-fit-in/a", Params(unsafe=True, image="full-adaptive-fit-in/a")),
        ("stretch/a", Params(stretch=True, image="a")),
        ("stretch/fit-in/a", Params(stretch=True, image="fit-in/a")),
        ("300x200/a", Params(width=300, height=200, image="a")),
        ("300x/a", Params(width=300, image="a")),
        ("x200/a", Params(height=200, image="a")),
        ("x/a", Params(image="a")),
        ("-3x-4/a", Params(width=3, height=4, h_flip=True, v_flip=True, image="a")),
        ("300x200", Params(image="300x200")),
        ("300X200/a", Params(image="300X200/a")),
        ("٣x٣/a", Params(image="٣x٣/a")),
        (
            "0x0/5x6/a",
            Params(padding_left=5, padding_top=6, padding_right=5, padding_bottom=6, image="a"),
        ),
        (
            "fit-in/5x6:7x8/a",
            Params(fit_in=True, padding_left=5, padding_top=6, padding_right=7, padding_bottom=8, image="a"),
        ),
        (
            "0x0/5x6:0x0/a",
            Params(padding_left=5, padding_top=6, padding_right=0, padding_bottom=0, image="a"),
        ),
        ("left/top/smart/a", Params(h_align="left", v_align="top", smart=True, image="a")),
        ("center/middle/a", Params(h_align="center", v_align="middle", image="a")),
        ("top/left/a", Params(v_align="top", image="left/a")),
        ("middle/a", Params(v_align="middle", image="a")),
    ],
)
def test_what_the_options_say(path: str, params: Params) -> None:
    assert replace(parse(path), path="") == params


@pytest.mark.parametrize(
    ("text", "filters", "ignored", "image"),
    [
        ("blur(5)/a", (("blur", "5"),), "", "a"),
        ("blur(5):grayscale()/a", (("blur", "5"), ("grayscale", "")), "", "a"),
        ("blur(5)", (("blur", "5"),), "", ""),
        ("/a", (), "", "a"),
        ("w(http://h/a(1).png,0)/a", (("w", "http://h/a(1).png,0"),), "", "a"),
        ("a(filters:b(c):d()/e)/a", (("a", "filters:b(c):d()/e"),), "", "a"),
        ("a(%28)/a", (("a", "%28"),), "", "a"),
        ("a(b)/filters:c(d)/e", (("a", "b"),), "", "filters:c(d)/e"),
        ("a(b)junk:c(d)/e", (("a", "b"), ("c", "d")), "junk", "e"),
        ("grayscale/a", (), "grayscale", "a"),
        ("grayscale:b()/a", (("", ""), ("b", "")), "grayscale", "a"),
        ("a(b)c(d)/e", (("c", "d"),), "ab", "e"),
        ("(x)b(c)/e", (("b", "c"),), "x", "e"),
        ("blur(5/a", (("blur", ""),), "5/a", ""),
        ("blur(5))/a", (("blur", "5"),), ")/a", ""),
    ],
)
def test_filters_are_taken_apart_by_their_parentheses(
    text: str, filters: tuple[tuple[str, str], ...], ignored: str, image: str
) -> None:
    params = parse(f"filters:{text}")
    assert (params.filters, params.ignored, params.image) == (filters, ignored, image)


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("a+b", "a b"),
        ("a%2Bb", "a+b"),
        ("100%/a%20b", "100%/a%20b"),
        ("b64:Zm9v", "foo"),
        ("b64:Zm9v=", "b64:Zm9v="),
        ("%FF", "\udcff"),
        ("\udcff", "\udcff"),
        ("a\r\n\u2028b", "ab"),
        ("a%0Ab", "a\nb"),
    ],
)
def test_names_are_decoded_exactly_once(text: str, image: str) -> None:
    assert parse(f"unsafe/{text}").image == image


def test_a_signature_covers_everything_after_it_as_received() -> None:
    assert parse(f"/{SIGNATURE}//300x200/a%20b").path == "/300x200/a%20b"
    assert parse(f"/{SIGNATURE}/{SIGNATURE}/a").path == f"{SIGNATURE}/a"


@pytest.mark.parametrize(
    "digits", ["9223372036854775808", "9" * 30, "9" * 2500], ids=["just", "30 digits", "2,500 digits"]
)
def test_numbers_of_too_many_digits_stop_at_the_highest(digits: str) -> None:
    params = parse(f"unsafe/trim:{digits}/{digits}x0:0x{digits}/a")
    assert params.trim_tolerance == HIGHEST
    assert params.crop_left == params.crop_bottom == float(HIGHEST)
    assert parse(f"unsafe/{digits}x1/a").width == HIGHEST


def test_leading_zeros_are_no_size() -> None:
    assert parse("unsafe/" + "0" * 40 + "300x1/a").width == 300


def test_a_path_too_long_is_refused() -> None:
    assert parse("a" * MAX_PATH_BYTES).image
    with pytest.raises(BadUrl, match="8191 bytes"):
        parse("a" * (MAX_PATH_BYTES + 1))
    with pytest.raises(BadUrl):
        parse("é" * (MAX_PATH_BYTES // 2 + 1))


def test_what_was_never_bytes_is_refused() -> None:
    with pytest.raises(BadUrl):
        parse("\ud800")


@pytest.mark.parametrize(
    "unit",
    ["1", "0.", "1x", "1x1:", "-", "x", "/", "a", "(", ")", "a:", "a(b)", "()", "trim:", "1x1/", "%28", "+"],
)
def test_time_is_linear_whatever_the_path(unit: str) -> None:
    for start in ("", "filters:", "filters:a(", "0x0/", "trim:"):
        begin = time.perf_counter()
        parse((start + unit * MAX_PATH_BYTES)[:MAX_PATH_BYTES])
        assert time.perf_counter() - begin < 0.25  # measured: below 0.005


SEGMENTS = [
    "/", "params/", "unsafe/", "meta/", "preset:a/", "trim/", "trim:5/", "1x2:3x4/", ".1x0.2:1.0x.9/",
    "fit-in/", "adaptive-full-fit-in/", "stretch/", "-1x-2/", "x/", "5x6/", "5x6:7x8/", "left/", "top/",
    "smart/", "filters:", "a(b)", "(", ")", ":", "b64:", "Zm9v", "%", "%2", "%25", "%28", "+", "%2B", " ",
    "é", "\udcff", "?", "#", "\n", "\u2028", "1234567890123x4567/", "a" * 17 + "/",
]  # fmt: skip
PATHS = st.lists(st.sampled_from(SEGMENTS) | st.text(max_size=4), max_size=8).map("".join)


@given(PATHS)
@example("filters:a:/b")
@example("filters::/b")
@example("filters:(x):/b")
@example("b64:YjY0OlptOXY")
@example("1234567890123x4567:0x0/5")
@example("unsafe/filters:%62()/filters:x")
def test_what_was_read_is_written_so_that_it_reads_the_same(path: str) -> None:
    params = parse(path)
    assert bare(parse(generate(params))) == bare(params)


@given(PATHS, PATHS)
def test_every_name_survives_in_every_place(start: str, name: str) -> None:
    params = replace(parse(start), image=parse(f"unsafe/x/{name}").image)
    assert parse(generate(params)).image == params.image


@pytest.mark.parametrize(
    "name",
    [
        "300x200/a", "x/a", "1x2:3x4/a", "filters:blur(5)/a", "filters:", "middle/a", "full-fit-in/a",
        "preset:a/b", "unsafe/a", "params/a", "meta/a", SIGNATURE + "/a", "/a", "//", "a//b/", "a b", "a+b",
        "100%", "%41", "b64:Zm9v", "b64:", "b64:Zm9v=", "a?b=c#d", "photo(1),2.jpg", "\n", "\u2028", "\udcff",
        "日", "https://host/a.jpg?w=1&h=2",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "params",
    [Params(), Params(unsafe=True), Params(hash=SIGNATURE), Params(params=True), Params(width=3),
     Params(meta=True), Params(filters=(("a", "b"),)), Params(base64_image=True)],
)  # fmt: skip
def test_names_that_look_like_options_are_written_as_names(name: str, params: Params) -> None:
    wanted = replace(params, image=name)
    assert bare(parse(generate(wanted))) == bare(wanted)


@pytest.mark.parametrize(
    "path",
    [
        f"{SIGNATURE}/meta/trim:bottom-right:9/10x11:12x13/fit-in/-300x-200/5x6/left/top/smart/filters:a(b):c()/d",
        "preset:card/trim:5/0.25x0.5:1x0.75/adaptive-full-fit-in/300x0/5x6:7x8/center/middle/a",
        "unsafe/Google Photos/IMG_1.jpg",
        "unsafe/https://host/a.png",
        "unsafe/trim%2Fa%281%29%2C.jpg",
        "b64:bXkgaW1hZ2U",
        "filters:watermark(http://h/a(1).png,0,0)/日",
    ],
)
def test_canonical_paths_are_written_as_they_were(path: str) -> None:
    assert generate(parse(path)) == path


def test_tiny_fractions_are_written_without_an_exponent() -> None:
    assert generate(Params(crop_left=1e-7, crop_right=0.5, image="a")) == "0.0000001x0:0.5x0/a"


def test_a_size_that_would_pass_for_a_signature_is_kept_from_it() -> None:
    params = Params(width=HIGHEST, height=1, image="a")
    assert bare(parse(generate(params))) == params


def test_arguments_whose_parentheses_do_not_match_are_escaped() -> None:
    assert (
        generate(Params(filters=(("attachment", "a(.jpg"),), image="b")) == "filters:attachment(a%28.jpg)/b"
    )
    assert generate(Params(filters=(("a", ")("),), image="b")) == "filters:a(%29%28)/b"


@pytest.mark.parametrize(
    "params",
    [
        Params(hash="short", image="a"),
        Params(hash="adaptive-full-fit-in", image="a"),
        Params(preset="a/b", image="a"),
        Params(filters=(("a:b", ""),), image="a"),
        Params(filters=(("a\n", ""),), image="a"),
    ],
)
def test_what_no_path_can_say_is_refused(params: Params) -> None:
    with pytest.raises(BadArgument):
        generate(params)


def test_a_name_that_was_never_bytes_is_refused() -> None:
    with pytest.raises(BadKey):
        generate(Params(image="\ud800"))
