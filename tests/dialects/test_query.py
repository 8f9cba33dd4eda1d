"""The query form says what the path form says, and refuses what it does not know."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.dialects import thumbor
from imgproxy.dialects.presets import NO_PRESETS
from imgproxy.dialects.query import generate, param_fields, parse
from imgproxy.dialects.request import Params, transform
from imgproxy.errors import BadArgument, RequestError
from imgproxy.image.formats import Format
from imgproxy.image.header import ImageHeader
from imgproxy.image.plan import Ceiling, Plan, Size, make
from imgproxy.image.transform import Limits, Transform


def meaning(params: Params) -> Transform:
    return transform(params, presets=NO_PRESETS, limits=Limits())


FITS = ["cover", "contain", "inside", "scale-down", "pad", "outside", "fill", "stretch", "min"]


def planned(wish: Transform, width: int, height: int) -> Plan:
    facts = ImageHeader(Format.PNG, width, height)
    ceiling = Ceiling(pixels=100_000_000, frames=1, side=8192)
    return make(wish, facts, loaded=Size(width, height), trim=None, ceiling=ceiling)


PAIRS = [
    ("", ""),
    ("w=300", "300x0/filters:no_upscale()/"),
    ("width=300&height=200", "300x200/filters:no_upscale()/"),
    ("w=300&h=200&fit=cover", "300x200/filters:no_upscale()/"),
    ("w=300&h=200&fit=scale-down", "fit-in/300x200/"),
    ("w=300&h=200&fit=contain", "fit-in/300x200/"),
    ("w=300&h=200&fit=inside", "fit-in/300x200/"),
    ("w=300&h=200&fit=contain&upscale=0", "fit-in/300x200/"),
    ("w=300&h=200&fit=scale-down&upscale=1", "fit-in/300x200/filters:upscale()/"),
    ("w=300&h=200&fit=outside", "full-fit-in/300x200/filters:no_upscale()/"),
    ("w=300&h=200&fit=fill", "stretch/300x200/filters:no_upscale()/"),
    ("w=300&h=200&fit=stretch", "stretch/300x200/filters:no_upscale()/"),
    ("w=300&h=200&fit=pad", "fit-in/300x200/filters:fill(white)/"),
    ("w=300&h=200&fit=pad&bg=f00", "fit-in/300x200/filters:fill(red)/"),
    ("w=300&h=200&fit=pad&background=%23ff0000", "fit-in/300x200/filters:fill(red)/"),
    ("w=300&h=200&upscale=0", "300x200/filters:no_upscale()/"),
    ("w=300&h=200&gravity=left", "300x200/left/filters:no_upscale()/"),
    ("w=300&h=200&position=top-left", "300x200/left/top/filters:no_upscale()/"),
    ("w=300&h=200&gravity=right+bottom", "300x200/right/bottom/filters:no_upscale()/"),
    ("w=300&h=200&gravity=center", "300x200/filters:no_upscale()/"),
    ("w=300&h=200&gravity=smart", "300x200/smart/filters:no_upscale()/"),
    ("w=300&h=200&smart", "300x200/smart/filters:no_upscale()/"),
    ("w=300&h=200&smart=0", "300x200/filters:no_upscale()/"),
    ("w=300&h=200&focal=0.3x0.7", "300x200/filters:no_upscale():focal(0.3x0.7)/"),
    ("w=300&h=200&focal=1x2:3x4", "300x200/filters:no_upscale():focal(1x2:3x4)/"),
    ("flip=h", "-0x0/"),
    ("flip=hv&w=3", "-3x-0/filters:no_upscale()/"),
    ("trim", "trim/"),
    ("trim=20", "trim:20/"),
    ("trim=bottom-right:20", "trim:bottom-right:20/"),
    ("crop=10x20:30x40", "10x20:30x40/"),
    ("crop=0.1x.2:.8x1", "0.1x0.2:0.8x1/"),
    ("w=100&dpr=2", "200x0/filters:no_upscale()/"),
    ("blur=4", "filters:blur(4)/"),
    ("sharpen=0", ""),
    ("sharpen=0.5", "filters:sharpen(-0.25)/"),
    ("sharpen=10", "filters:sharpen(4.5)/"),
    ("sharpen=3", "filters:sharpen(1)/"),
    ("brightness=10&contrast=-10", "filters:brightness(10):contrast(-10)/"),
    ("contrast=-10&brightness=10", "filters:brightness(10):contrast(-10)/"),
    ("saturation=50&hue=90&rgb=1%2C2%2C3", "filters:saturation(50):hue(90):rgb(1,2,3)/"),
    ("grayscale=1&rotate=90&proportion=50", "filters:grayscale():rotate(90):proportion(50)/"),
    ("bg=white", "filters:background_color(fff)/"),
    ("pad=10", "filters:padding(white,10)/"),
    ("pad=10,20&bg=black", "filters:padding(black,10,20)/"),
    ("pad=1,2,3,4&fit=pad&w=9&h=9&bg=blur", "fit-in/9x9/filters:fill(blur):padding(blur,1,2,3,4)/"),
    ("round=20", "filters:round_corner(20)/"),
    ("watermark=logo.png,right-10,-10p,50", "filters:watermark(logo.png,right-10,-10p,50)/"),
    ("watermark=a%2Bb%281.png,0,0", "filters:watermark(a%2Bb%281.png,0,0)/"),
    ("format=webp&q=80", "filters:format(webp):quality(80)/"),
    ("f=jpg&quality=80", "filters:format(jpeg):quality(80)/"),
    ("format=auto", ""),
    ("max_bytes=10000", "filters:max_bytes(10000)/"),
    ("page=2", "filters:page(2)/"),
    ("page=2&dpi=144", "filters:page(2):dpi(144)/"),
    ("frames=5", "filters:max_frames(5)/"),
    ("strip=1", "filters:strip_metadata()/"),
    ("strip=all", "filters:strip_metadata()/"),
    ("strip=exif", "filters:strip_exif()/"),
    ("strip=icc", "filters:strip_icc()/"),
    ("strip=0", ""),
    ("download", "filters:attachment()/"),
    ("download=my+%28photo%29%2C+1.jpg", "filters:attachment(my%20%28photo%29%2C%201.jpg)/"),
    ("max_age=60&expire=1700000000000", "filters:max_age(60):expire(1700000000000)/"),
    ("w=300&h=200&upscale=1", "300x200/"),
    ("w=300&h=200&fit=outside&upscale=1", "full-fit-in/300x200/"),
    ("w=300&h=200&fit=stretch&upscale=1", "stretch/300x200/"),
    ("w=300&h=200&fit=contain&upscale=1", "fit-in/300x200/filters:upscale()/"),
    ("w=300&fit=min", "300x0/filters:no_upscale()/"),
    ("upscale=1", ""),
    ("w=0&upscale=0", ""),
    ("round=20&bg=white", "filters:round_corner(20):background_color(white)/"),
    ("round=20&pad=3&bg=white", "filters:padding(white,3):round_corner(20)/"),
    ("round=20&fit=pad&w=9&h=9", "fit-in/9x9/filters:fill(white):round_corner(20)/"),
]


@pytest.mark.parametrize(("query", "path"), PAIRS)
def test_one_image_asked_for_in_two_ways_is_one_image(query: str, path: str) -> None:
    by_query, by_path = meaning(parse(query)), meaning(thumbor.parse(f"{path}a.jpg"))
    assert by_query == by_path
    assert by_query.canonical() == by_path.canonical()


def test_the_order_of_parameters_does_not_matter() -> None:
    assert parse("blur=4&w=300&fit=pad&bg=red") == parse("bg=red&fit=pad&w=300&blur=4")


def test_a_preset_is_named() -> None:
    assert parse("preset=card") == Params(preset="card")


@pytest.mark.parametrize(
    ("said", "name"), [("", "no_upscale"), ("&upscale=0", "no_upscale"), ("&upscale=1", "upscale")]
)
def test_parse_with_a_preset_and_a_size_always_decides_upscale(said: str, name: str) -> None:
    """The fit may be the preset's, so the path form's default is not known here."""
    assert parse(f"preset=card&w=3{said}") == Params(preset="card", width=3, filters=((name, ""),))


def test_the_words_are_only_those_that_were_said() -> None:
    assert param_fields("w=3&blur=1&upscale=1") == {"width": 3, "filters": (("blur", "1"),)}


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("v=2", "query: 'v' is not a parameter; there are preset, trim, crop, fit, "),
        ("W=300", "query: 'W' is not a parameter"),
        ("=3", "query: '' is not a parameter"),
        ("w=3&w=3", "query: w is given twice"),
        ("w=3&width=4", "query: w is given twice"),
        ("w", "w: a whole number of pixels is expected, not ''"),
        ("w=-3", "w: a whole number of pixels is expected, not '-3'"),
        ("w=1e3", "w: "),
        ("w=٣", "w: "),
        ("h=" + "9" * 5000, "h: a whole number of pixels"),
        (
            "fit=zoom",
            "fit: one of cover, contain, inside, scale-down, pad, outside, fill, stretch, min is expected",
        ),
        ("gravity=north", "gravity: smart, or left, "),
        ("gravity=left-right", "gravity: "),
        ("smart=yes", "smart: 1 or 0 is expected, not 'yes'"),
        ("upscale=2", "upscale: 1 or 0"),
        ("flip=x", "flip: h, v or hv is expected, not 'x'"),
        ("trim=middle", "trim: a tolerance, a corner or corner:tolerance is expected, not 'middle'"),
        ("trim=5/300x200", "trim: "),
        ("crop=10x20", "crop: LxT:RxB is expected, not '10x20'"),
        ("crop=unsafe/1x2:3x4", "crop: "),
        ("crop=1x2:3x4/a.jpg", "crop: "),
        ("blur=much", "blur: radius: a number from 0 to 150 is expected, not 'much'"),
        ("sharpen=10.1", "sharpen: a number from 0 to 10 is expected, not '10.1'"),
        ("sharpen=-1", "sharpen: a number from 0 to 10 is expected, not '-1'"),
        ("sharpen=1,0.5", "sharpen: a number from 0 to 10 is expected, not '1,0.5'"),
        ("sharpen=٣", "sharpen: a number from 0 to 10"),
        ("q=101", "q: quality: n: a whole number from 1 to 100 is expected, not '101'"),
        ("bg=nocolour", "bg: background_color: colour: "),
        ("bg=red,true&fit=pad", "bg: fill: colour: "),
        ("pad=1,2,3", "pad: pixels: all sides, h,v or left,top,right,bottom is expected, not '1,2,3'"),
        ("pad=x", "pad: padding: left: "),
        ("format=bmp", "format: name: one of "),
        ("strip=gps", "strip: all, exif, icc or 0 is expected, not 'gps'"),
        ("download=" + "a" * 201, "download: attachment: name: at most 200 characters"),
        ("download=%FF", "query: a parameter is not valid UTF-8"),
        ("\udcff=1", "query: a parameter is not valid UTF-8"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_expected(query: str, complaint: str) -> None:
    with pytest.raises(BadArgument) as refusal:
        parse(query)
    assert str(refusal.value).startswith(complaint)


WORDS = st.fixed_dictionaries(
    {},
    optional={
        "preset": st.sampled_from(["card", "a-b_c.1"]),
        "trim": st.sampled_from(["0", "7", "bottom-right", "bottom-right:7", "top-left"]),
        "crop": st.sampled_from(["1x2:3x4", "0.1x0.25:1x0.5", "0x0:0x0"]),
        "fit": st.sampled_from(FITS),
        "upscale": st.sampled_from(["0", "1"]),
        "w": st.integers(0, 9999).map(str),
        "h": st.integers(0, 9999).map(str),
        "gravity": st.sampled_from(["left", "bottom", "top-left", "center-middle", "smart", "smart-left"]),
        "smart": st.sampled_from(["0", "1"]),
        "flip": st.sampled_from(["h", "v", "hv"]),
        "dpr": st.just("2"),
        "focal": st.sampled_from(["0.1x0.2", "1x2:3x4"]),
        "page": st.just("2"),
        "brightness": st.just("10"),
        "rgb": st.just("1,2,3"),
        "grayscale": st.sampled_from(["0", "1"]),
        "blur": st.sampled_from(["1", "1,2"]),
        "sharpen": st.sampled_from(["0", "0.3", "1", "2.125", "10"]),
        "round": st.sampled_from(["0", "20", "20,10"]),
        "bg": st.sampled_from(["red", "#00f", "none"]),
        "pad": st.sampled_from(["0", "1", "1,2", "1,2,3,4"]),
        "watermark": st.sampled_from(["a.png,0,0", "a+%(b.png,-1,center,50,10,none"]),
        "format": st.sampled_from(["webp", "auto"]),
        "q": st.just("80"),
        "strip": st.sampled_from(["all", "exif", "icc", "0"]),
        "download": st.sampled_from(["", "a b.jpg", "a,(b)&=%41+日.jpg"]),
    },
)


@given(WORDS)
def test_what_was_read_is_written_so_that_it_reads_the_same(said: dict[str, str]) -> None:
    params = parse(urlencode(said))
    assert parse(generate(params)) == params


@given(WORDS)
def test_what_a_query_says_a_path_can_say(said: dict[str, str]) -> None:
    params = parse(urlencode(said))
    if params.fit_min:
        with pytest.raises(BadArgument, match=r"^fit: the path form has no word for min"):
            thumbor.generate(params)
    else:
        assert thumbor.parse(thumbor.generate(params)).options.filters == params.filters


@pytest.mark.parametrize(
    "path",
    [
        "adaptive-fit-in/3x3/a",
        "3x3/5x5/filters:fill(red)/a",
        "filters:blur(1):blur(2)/a",
        "filters:blur(1):brightness(2)/a",
        "filters:nonsense()/a",
        "filters:blur/a",
    ],
)
def test_what_no_query_can_say_is_refused(path: str) -> None:
    with pytest.raises(BadArgument):
        generate(thumbor.parse(path))


def test_the_name_is_not_the_querys_to_say() -> None:
    assert generate(thumbor.parse("unsafe/meta/300x0/a.jpg")) == "upscale=1&w=300"


SIDE = st.integers(1, 2000)


@given(st.sampled_from(FITS), SIDE, SIDE, st.integers(0, 4000), st.integers(0, 4000))
def test_parse_without_upscale_never_enlarges_with_any_fit(
    fit: str, wide: int, high: int, width: int, height: int
) -> None:
    wish = meaning(parse(f"w={width}&h={height}&fit={fit}"))
    plan = planned(wish, wide, high)
    assert max(plan.scale) <= 1
    assert plan.size.width <= wide
    assert plan.size.height <= high


@pytest.mark.parametrize("fit", [fit for fit in FITS if fit != "min"])
def test_parse_with_upscale_enlarges_with_every_fit_but_min(fit: str) -> None:
    assert max(planned(meaning(parse(f"w=400&h=400&fit={fit}&upscale=1")), 200, 150).scale) > 1


def test_parse_with_min_does_not_enlarge_with_upscale_either() -> None:
    plan = planned(meaning(parse("w=400&h=400&fit=min&upscale=1")), 200, 150)
    assert (plan.scale, plan.box) == ((1, 1), (150, 150))


@pytest.mark.parametrize(
    ("query", "enlarges"),
    [("preset=big", True), ("preset=big&w=9", False), ("preset=big&w=9&upscale=1", True)],
)
def test_parse_beside_a_preset_decides_on_enlarging_only_with_a_size(query: str, enlarges: bool) -> None:
    presets = {"big": thumbor.parse("300x200/")}
    assert transform(parse(query), presets=presets, limits=Limits()).upscale is enlarges


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["w=", "&", "=", "%2", "%FF", "crop=", "pad", "3"])).map("".join)
)
def test_any_text_is_read_or_refused(query: str) -> None:
    try:
        parse(query)
    except RequestError as refusal:
        assert str(refusal)  # noqa: PT017  reading it may as well succeed
