"""What is named stays in view when the image is cropped."""

from __future__ import annotations

import pytest

from imgproxy.image.gravity import Region
from imgproxy.image.transform import Fit
from tests.pictures import GREEN, RED, asked, canonical, made, plain, quadrants, refusal, spot


def _reds(*calls: str, **wish: object) -> int:
    """How many pixels of the busy square are left; it has 40 × 40, half of them red."""
    pixels = made(spot(300, 100, 240, 30), *calls, width=100, height=100, **wish).pixels
    return int((pixels[..., 1] < 60).sum())


@pytest.mark.parametrize(
    "text", ["focal(260,50)", "focal(240x30:280x70)", "focal(0.8x0.3:0.93x0.7)", "focal(.87:.5)"]
)
def test_the_crop_goes_to_what_is_named(text: str) -> None:
    assert _reds() == 0
    assert _reds(text) > 780


def test_smart_and_alignment_give_way_to_it() -> None:
    assert asked("focal(1,2)", smart=True, width=9, height=9) == asked("focal(1,2)", width=9, height=9)


def test_several_are_averaged_by_their_areas() -> None:
    both = asked("focal(0x0:10x10)", "focal(100x0:110x10)", width=9, height=9).options.focal
    assert both == (Region(0, 0, 10, 10), Region(100, 0, 110, 10))
    picture = quadrants(300, 10, [RED, GREEN] * 2)
    pixels = made(picture, "focal(0x0:10x10)", "focal(290x0:300x10)", width=10, height=10).pixels
    assert pixels[5, 0].tolist() == list(RED)
    assert pixels[5, -1].tolist() == list(GREEN)


def test_it_is_in_no_key_where_nothing_is_cropped() -> None:
    assert canonical("focal(1,2)", width=10) == canonical(width=10)
    assert canonical("focal(1,2)", width=10, height=10, fit=Fit.INSIDE) == canonical(
        width=10, height=10, fit=Fit.INSIDE
    )


def test_a_point_outside_leads_to_the_edge() -> None:
    assert made(plain(30, 10, RED), "focal(9999,9999)", width=10, height=10).size == (10, 10)


@pytest.mark.parametrize(
    "text", ["focal()", "focal(1)", "focal(1,2,3)", "focal(9x9:1x1)", "focal(-1,2)", "focal(ax2)"]
)
def test_what_is_no_region_is_refused(text: str) -> None:
    assert refusal(text).startswith("focal: ")
