"""What is written can be opened again, is as small as was asked, and says no more than it may."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import pyvips

from imgproxy.demo.drawing import DRAWINGS, Drawing
from imgproxy.engine import encode, readers
from imgproxy.engine.readers.family import Opened
from imgproxy.engine.worker_protocol import Encoding, Keep
from imgproxy.image.filters.base import Image
from imgproxy.image.formats import TRAITS, WRITTEN, Format
from imgproxy.image.options import Options
from tests.pictures import (
    BLUE,
    GREEN,
    RED,
    array,
    descriptor,
    distance,
    encoded,
    film,
    gradient,
    image,
    made,
    noise,
    plain,
    tagged,
)

_MARKED = tagged(
    gradient(40, 30),
    exif_ifd0_Make="Cameramaker",
    exif_ifd0_Copyright="Somebody",
    exif_ifd0_Artist="Artistico",
    exif_ifd3_GPSLatitude="48/1 12/1 30/1",
    xmp_data=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>secret place</x:xmpmeta>",
    orientation=6,
).icc_transform("p3", input_profile="srgb")
_WITH_EXIF = (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF)


def _written(picture: Image, name: Format, options: Options = Options(), **how: Any) -> bytes:  # noqa: B008  frozen
    """What `encode.write` writes, with a check that nothing else is left in the descriptor."""
    with descriptor() as number:
        size = encode.write(picture, number, name, options, Encoding(**how))
        assert size == os.fstat(number).st_size
        return os.pread(number, size, 0)


def _reopened(data: bytes) -> Opened:
    with descriptor(data) as number:
        return readers.open_image(number)


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize(
    "colour", [(90,), (90, 120), RED, (*RED, 128)], ids=["grey", "grey-alpha", "rgb", "rgba"]
)
def test_every_type_takes_every_kind_of_pixels(name: Format, colour: tuple[int, ...]) -> None:
    made_so = made(plain(24, 16, colour), to=name)
    facts = _reopened(made_so.data).facts
    assert (facts.format, facts.width, facts.height, facts.pages) == (name, 24, 16, 1)
    if name is not Format.GIF:  # whose writer decides by the colours
        assert facts.alpha is (TRAITS[name].alpha and len(colour) in (2, 4))


@pytest.mark.parametrize("name", WRITTEN)
def test_the_picture_comes_back_nearly_as_it_was(name: Format) -> None:
    picture = gradient(64, 48)
    back = pyvips.Image.new_from_buffer(_written(picture, name), "").extract_band(0, n=3)
    assert abs(array(back) - array(picture)).mean() < 5
    if not TRAITS[name].lossy and name is not Format.GIF:
        assert distance(array(back), array(picture)) == 0


@pytest.mark.parametrize("name", [Format.GIF, Format.WEBP])
def test_an_animation_keeps_frames_delays_and_loop(name: Format) -> None:
    made_so = made(film(RED, GREEN, BLUE, delays=[50, 120, 300], loop=4), to=name)
    assert _reopened(made_so.data).facts.pages == made_so.rendered.pages == 3
    assert made_so.strip.get("delay") == [50, 120, 300]
    assert made_so.strip.get("loop") == 4
    assert [int(frame[3, 3, :3].argmax()) for frame in made_so.frames] == [0, 1, 2]


# -- quality and bytes -------------------------------------------------------------------------------------


def test_the_settings_say_quality_and_effort_where_the_url_does_not() -> None:
    low, high = (_written(noise(50, 50), Format.JPEG, quality={Format.JPEG: q}) for q in (20, 90))
    assert len(low) < len(high)
    assert _written(noise(50, 50), Format.JPEG, Options(quality=20)) == low
    fast, slow = (_written(gradient(200, 200), Format.PNG, effort={Format.PNG: e}) for e in (1, 9))
    assert len(slow) < len(fast)


@pytest.mark.parametrize("name", [Format.JPEG, Format.WEBP, Format.AVIF])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.3])
def test_a_ceiling_of_bytes_is_kept_and_no_bytes_of_earlier_tries_are_left(
    name: Format, share: float
) -> None:
    ceiling = int(len(_written(noise(100, 100), name)) * share)
    data = _written(noise(100, 100), name, Options(max_bytes=ceiling))
    lowest = _written(noise(100, 100), name, Options(quality=10))
    assert len(data) <= max(ceiling, len(lowest))
    assert _reopened(data).facts.width == 100


def test_the_search_begins_at_the_quality_that_was_asked_for() -> None:
    within = _written(noise(100, 100), Format.JPEG, Options(quality=30, max_bytes=10**6))
    assert within == _written(noise(100, 100), Format.JPEG, Options(quality=30))


# -- metadata ----------------------------------------------------------------------------------------------

_SECRETS = (b"Cameramaker", b"Somebody", b"Artistico", b"secret place", b"GPSLatitude")


@pytest.mark.parametrize("name", WRITTEN)
def test_nothing_is_told_by_default(name: Format) -> None:
    data = made(encoded(_MARKED, ".jpg"), to=name).data
    assert not [secret for secret in _SECRETS if secret in data]
    fields = pyvips.Image.new_from_buffer(data, "").get_fields()
    assert not [field for field in fields if field.startswith(("exif", "xmp", "iptc", "icc"))]


@pytest.mark.parametrize("name", _WITH_EXIF)
def test_of_a_photo_only_its_maker_is_told_where_copyright_is_kept(name: Format) -> None:
    made_so = made(encoded(_MARKED, ".jpg"), to=name, encoding=Encoding(metadata="copyright"))
    told = made_so.image
    assert told.get("exif-ifd0-Copyright").startswith("Somebody")
    assert told.get("exif-ifd0-Artist").startswith("Artistico")
    assert not [field for field in told.get_fields() if field.startswith("exif-ifd3") or "Make" in field]
    assert not told.get_typeof("icc-profile-data")
    assert b"Cameramaker" not in made_so.data
    assert b"secret place" not in made_so.data


@pytest.mark.parametrize("name", _WITH_EXIF)
def test_where_metadata_is_kept_all_of_it_is_and_the_picture_is_upright_once(name: Format) -> None:
    made_so = made(encoded(_MARKED, ".jpg"), to=name, encoding=Encoding(metadata="keep"))
    told = made_so.image
    assert told.get("exif-ifd0-Make").startswith("Cameramaker")
    assert told.get("exif-ifd3-GPSLatitude")
    assert told.get_typeof("icc-profile-data")
    assert b"secret place" in told.get("xmp-data")
    assert made_so.size == (30, 40)
    assert _reopened(made_so.data).facts.upright == (30, 40)


@pytest.mark.parametrize(
    ("metadata", "options", "expected"),
    [
        ("strip", Options(), {}),
        ("copyright", Options(), {"Copyright": "Somebody", "Artist": "Artistico"}),
        ("copyright", Options(strip_exif=True), {}),
        ("keep", Options(strip_metadata=True), {}),
    ],
)
def test_what_would_be_told_can_be_asked(metadata: Keep, options: Options, expected: dict[str, str]) -> None:
    stored = pyvips.Image.new_from_buffer(encoded(_MARKED, ".jpg"), "")
    assert encode.facts(stored, options, Encoding(metadata=metadata)) == expected


def test_what_is_kept_can_be_asked_too() -> None:
    stored = pyvips.Image.new_from_buffer(encoded(_MARKED, ".jpg"), "")
    told = encode.facts(stored, Options(), Encoding(metadata="keep"))
    assert told["Make"] == "Cameramaker"
    assert "GPSLatitude" in told


@pytest.mark.parametrize("text", ["Acme (UK) Ltd", "Canon", "a, b (c), d", "("])
def test_a_field_is_told_as_it_was_written(text: str) -> None:
    picture = tagged(gradient(8, 8), exif_ifd0_Copyright=text)
    read = pyvips.Image.new_from_buffer(encoded(picture, ".jpg"), "")
    kept = encode.facts(read, Options(), Encoding(metadata="keep"))
    assert kept["Copyright"] == text


def _png(picture: Image, **encoding: Any) -> int:
    """The bytes of a PNG as it is written."""
    with descriptor() as number:
        return encode.write(picture, number, Format.PNG, Options(), Encoding(**encoding))


def _lines(width: int, height: int) -> Image:
    """Text as it is on a screen: strokes on white, their edges grey by chance."""
    draw = np.random.default_rng(2)
    strokes = draw.random((height, width)) < 0.2
    pixels = np.where(strokes, draw.integers(0, 200, (height, width)), 255).astype(np.uint8)
    return image(np.repeat(pixels[..., None], 3, 2))


def _photo(width: int, height: int) -> Image:
    down, across = np.mgrid[0:height, 0:width]
    soft = 128 + 60 * np.sin(across / 40) + 50 * np.cos(down / 30)
    grain = np.random.default_rng(1).normal(0, 4, (height, width, 3))
    return image(np.clip(np.stack([soft, soft * 0.8, 255 - soft], 2) + grain, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("drawn", [_photo, gradient])
def test_write_png_of_smooth_pixels_uses_row_filters(drawn: Callable[[int, int], Image]) -> None:
    picture = drawn(400, 267)
    assert _png(picture) < 0.8 * len(picture.write_to_buffer(".png", compression=6, filter="none"))


def test_write_png_of_strokes_uses_no_row_filters() -> None:
    picture = _lines(400, 267)
    assert _png(picture) == len(picture.write_to_buffer(".png", compression=6, filter="none", keep="none"))


@pytest.mark.parametrize("drawn", [_photo, _lines])
def test_write_png_takes_the_effort_that_is_set(drawn: Callable[[int, int], Image]) -> None:
    assert _png(drawn(400, 267), effort={Format.PNG: 1}) > _png(drawn(400, 267), effort={Format.PNG: 9})


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (2, 2)])
def test_write_png_of_one_pixel_a_side(size: tuple[int, int]) -> None:
    assert _png(plain(*size, RED)) > 60


def test_write_png_as_imagor_uses_no_row_filters() -> None:
    picture = gradient(60, 40)
    assert _png(picture, imagor=True) == len(picture.write_to_buffer(".png", compression=6, keep="none"))


@pytest.mark.parametrize(
    "picture",
    [
        _photo(400, 267).colourspace("b-w").bandjoin(255),
        (_photo(400, 267) * [1, 0, 0]).cast("uchar"),
        _photo(400, 267).bandjoin(200),
    ],
    ids=["grey and alpha", "red alone", "alpha"],
)
def test_write_png_of_a_photo_uses_row_filters_in_any_bands(picture: Image) -> None:
    assert _png(picture) < 0.95 * len(picture.write_to_buffer(".png", compression=6, filter="none"))


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.key)
def test_write_png_of_the_drawings_is_the_smaller_of_both_ways(drawing: Drawing) -> None:
    picture = drawing.image().thumbnail_image(400).cast("uchar").copy_memory()
    ways = [("none", 6), ("all", 3)]
    sizes = [
        len(picture.write_to_buffer(".png", filter=name, compression=level, keep="none"))
        for name, level in ways
    ]
    assert _png(picture) <= 1.02 * min(sizes)
