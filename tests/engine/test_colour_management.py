"""Conversion of colours to sRGB and grey."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pyvips

from imgproxy.engine import colour_management
from tests.pictures import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    array,
    deep,
    distance,
    encoded,
    gradient,
    image,
    plain,
    quadrants,
    tagged,
)


def _reopened(picture: Any, kind: str, **options: Any) -> Any:
    return pyvips.Image.new_from_buffer(encoded(picture, kind, **options), "")


def _distance_seen(one: Any, other: Any) -> float:
    """The largest ΔE 2000 of any pixel."""
    return float(one.colourspace("lab").dE00(other.colourspace("lab")).max())


@pytest.mark.parametrize("colour", [RED, GREEN, BLUE, (200, 120, 40), WHITE], ids=str)
def test_colours_of_srgb_survive_a_stay_in_p3(colour: tuple[int, int, int]) -> None:
    wide = plain(16, 16, colour).icc_transform("p3", input_profile="srgb", intent="relative")
    stored = _reopened(wide, ".png")
    assert wide(0, 0)[:3] != list(colour) or colour == WHITE
    assert _distance_seen(colour_management.to_srgb(stored), plain(16, 16, colour)) < 1.5


@pytest.mark.parametrize("colour", [RED, GREEN], ids=str)
def test_what_only_p3_has_becomes_the_strongest_of_srgb(colour: tuple[int, int, int]) -> None:
    strongest = plain(16, 16, colour).icc_transform("p3", input_profile="p3")
    assert array(colour_management.to_srgb(_reopened(strongest, ".png")))[8, 8] == pytest.approx(
        colour, abs=1
    )


def test_what_says_srgb_is_left_alone() -> None:
    profile = bytes(pyvips.Image.profile_load("srgb"))
    marked = tagged(gradient(32, 32), icc_profile_data=profile)
    assert distance(array(colour_management.to_srgb(marked)), array(gradient(32, 32))) == 0


@pytest.mark.parametrize("version", [2, 4])
def test_a_profile_is_not_srgb_for_mentioning_it(version: int) -> None:
    wide = plain(8, 8, (0, 200, 0)).icc_transform("p3", input_profile="srgb")
    profile = _described(bytes(wide.get("icc-profile-data")), "Display P3 Gamut with sRGB Transfer", version)
    marked = tagged(plain(8, 8, wide(0, 0)[:3]), icc_profile_data=profile)
    assert _distance_seen(colour_management.to_srgb(marked), plain(8, 8, (0, 200, 0))) < 1.5
    named = tagged(marked, icc_profile_data=_described(profile, "sRGB IEC61966-2.1", version))
    assert distance(array(colour_management.to_srgb(named)), array(marked)) == 0


def _described(profile: bytes, text: str, version: int) -> bytes:
    """The profile with another description, put at its end."""
    if version == 2:
        tag = b"desc" + bytes(4) + (len(text) + 1).to_bytes(4, "big") + text.encode() + bytes(90)
    else:
        words = text.encode("utf-16-be")
        numbers = [1, 12, 0x656E5553, len(words), 28]
        tag = b"mluc" + bytes(4) + b"".join(number.to_bytes(4, "big") for number in numbers) + words
    tag += bytes(-len(tag) % 4)
    entry = profile.index(b"desc", 128)
    place = len(profile).to_bytes(4, "big") + len(tag).to_bytes(4, "big")
    whole = profile[: entry + 4] + place + profile[entry + 12 :] + tag
    return len(whole).to_bytes(4, "big") + whole[4:]


@pytest.mark.parametrize("keep", ["icc", "none"])
def test_cmyk_comes_out_as_it_looks_with_and_without_its_profile(keep: str) -> None:
    colours = quadrants(32, 32, [(180, 60, 60), (60, 130, 70), (50, 60, 130), (220, 210, 120)])
    ink = colours.icc_transform("cmyk", input_profile="srgb", intent="relative")
    stored = _reopened(ink, ".jpg", Q=100, keep=keep)
    assert stored.interpretation == "cmyk"
    assert (
        _distance_seen(colour_management.to_srgb(stored).crop(2, 2, 12, 12), colours.crop(2, 2, 12, 12)) < 6
    )
    assert colour_management.to_srgb(stored).bands == 3


@pytest.mark.parametrize("profile", [b"broken", bytes(2000), b"\xff" * 300], ids=len)
@pytest.mark.parametrize("ink", [False, True])
def test_a_profile_that_cannot_be_used_counts_as_none(profile: bytes, ink: bool) -> None:
    picture = gradient(32, 32)
    if ink:
        picture = picture.icc_transform("cmyk", input_profile="srgb").copy()
        picture.remove("icc-profile-data")
    marked = tagged(picture, icc_profile_data=profile)
    assert distance(array(colour_management.to_srgb(marked)), array(colour_management.to_srgb(picture))) <= 1


def _described_ink() -> bytes:
    """The built-in CMYK profile as an embedded one: what it makes of a colour is the same."""
    return bytes(pyvips.Image.profile_load("cmyk"))


@pytest.mark.parametrize("embedded", [True, False])
def test_to_srgb_cmyk_black_is_black_by_black_point_compensation(embedded: bool) -> None:
    inks = quadrants(16, 16, [(0, 0, 0, 0), (255, 255, 255, 255), (0, 255, 255, 0), (0, 0, 0, 255)])
    inks = inks.copy(interpretation="cmyk")
    stored = tagged(inks, icc_profile_data=_described_ink()) if embedded else inks
    white, darkest, red, _ = (array(colour_management.to_srgb(stored))[place] for place in _MIDDLES)
    assert white.min() >= 254
    assert darkest[:2].max() <= 2
    assert (red[0] > 220, red[1] < 12, red[2] < 25) == (True, True, True)
    as_imagor = array(colour_management.to_srgb(stored, black_point=False))
    assert as_imagor[_MIDDLES[1]].sum() > darkest.sum() + 20
    assert as_imagor[_MIDDLES[2]][1] > 25


_MIDDLES = [(4, 4), (4, 12), (12, 4), (12, 12)]


def _grey_profile(gamma: float) -> bytes:
    """A grey ICC profile of one gamma (ICC.1:2001-04 §6.3.2: white point and grey curve)."""
    curve = b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big") + bytes(2)
    white = b"XYZ " + bytes(4) + b"".join(part.to_bytes(4, "big") for part in (0xF6D6, 0x10000, 0xD32D))
    tags = {b"wtpt": white, b"kTRC": curve}
    at = 132 + 12 * len(tags)
    table, body = len(tags).to_bytes(4, "big"), b""
    for name, tag in tags.items():
        table += name + (at + len(body)).to_bytes(4, "big") + len(tag).to_bytes(4, "big")
        body += tag
    head = bytearray(128)
    head[8:12] = bytes([2, 0x40, 0, 0])
    head[12:24] = b"mntrGRAYXYZ "
    head[36:40] = b"acsp"
    head[68:80] = b"".join(part.to_bytes(4, "big") for part in (0xF6D6, 0x10000, 0xD32D))
    whole = bytes(head) + table + body
    return len(whole).to_bytes(4, "big") + whole[4:]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("alpha", [False, True])
def test_to_srgb_grey_profile_is_honoured_and_stays_grey(depth: int, alpha: bool) -> None:
    linear = np.array([[30, 128, 220]], np.uint8)[..., None]
    expected = [12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055 for v in linear.ravel() / 255]
    pixels = np.concatenate([linear, np.full_like(linear, 77)], 2) if alpha else linear
    if depth == 16:
        pixels = pixels.astype(np.uint16) * 257
    stored = image(pixels, "b-w" if depth == 8 else "grey16")
    shown = colour_management.to_srgb(tagged(stored, icc_profile_data=_grey_profile(1.0)))
    assert (shown.bands, shown.interpretation) == (1 + alpha, "b-w")
    assert array(shown)[0, :, 0] == pytest.approx(np.array(expected) * 255, abs=1)
    assert not alpha or set(array(shown)[..., 1].flat) == {77}


def test_the_profile_of_another_kind_of_picture_counts_as_none() -> None:
    marked = tagged(gradient(32, 32), icc_profile_data=bytes(pyvips.Image.profile_load("cmyk")))
    assert distance(array(colour_management.to_srgb(marked)), array(gradient(32, 32))) <= 1


@pytest.mark.parametrize("alpha", [False, True])
def test_sixteen_bits_become_eight(alpha: bool) -> None:
    picture = deep(32, 32)
    if alpha:
        picture = picture.bandjoin(0x8080).copy(interpretation="rgb16")
    pixels = array(colour_management.to_srgb(picture))
    assert distance(pixels[..., :3], array(gradient(32, 32))) == 0
    assert not alpha or set(pixels[..., 3].flat) == {0x80}


def test_deep_grey_becomes_grey() -> None:
    pixels = array(colour_management.to_srgb(image(np.full((4, 4, 1), 0x8080, np.uint16), "grey16")))
    assert set(pixels.flat) == {0x80}


@pytest.mark.parametrize("interpretation", ["lab", "scrgb", "xyz"])
def test_other_spaces_are_brought_home(interpretation: str) -> None:
    there = gradient(32, 32).colourspace(interpretation)
    assert distance(array(colour_management.to_srgb(there)), array(gradient(32, 32))) <= 3
