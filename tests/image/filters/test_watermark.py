"""Another image lies over this one, where and as strongly as was said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imgproxy.image.formats import Format
from tests.pictures import (
    BLACK,
    BLUE,
    GREEN,
    RED,
    Made,
    asked,
    canonical,
    encoded,
    film,
    made,
    plain,
    refusal,
)

_MARK = encoded(plain(8, 4, RED))


def _marked(arguments: str, *, mark: bytes = _MARK, size: tuple[int, int] = (40, 20), **how: Any) -> Made:
    return made(plain(*size, BLUE), f"watermark(m,{arguments})", overlays={"m": mark}, **how)


def _box(made_so: Made) -> tuple[int, int, int, int]:
    """Where it is red: left, top, right and bottom."""
    rows, columns = np.nonzero(made_so.pixels[..., 0] > 127)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("0,0", (0, 0, 8, 4)),
        ("3,5", (3, 5, 11, 9)),
        ("-3,-5", (29, 11, 37, 15)),
        ("left,bottom", (0, 16, 8, 20)),
        ("right-2,top-3", (30, 3, 38, 7)),
        ("center,center", (16, 8, 24, 12)),
        ("10p,0.5", (4, 10, 12, 14)),
        ("36,18", (36, 18, 40, 20)),
        ("repeat,3", (0, 3, 40, 7)),
        ("2,repeat", (2, 0, 10, 20)),
        ("repeat,repeat", (0, 0, 40, 20)),
    ],
)
def test_it_lies_where_it_was_put(position: str, expected: tuple[int, int, int, int]) -> None:
    assert _box(_marked(f"{position},0")) == expected


@pytest.mark.parametrize("position", ["40,0", "100,100", "-100,0", "0,-21", "0,20"])
def test_one_that_lies_outside_is_not_seen(position: str) -> None:
    assert (_marked(f"{position},0").pixels[..., :3] == BLUE).all()


def test_alpha_is_how_much_is_seen_through_it() -> None:
    assert _marked("0,0,0").pixels[0, 0, :3].tolist() == list(RED)
    assert _marked("0,0,50").pixels[0, 0, :3] == pytest.approx([127, 0, 127], abs=2)
    assert _marked("0,0,100").pixels[0, 0, :3].tolist() == list(BLUE)
    assert _marked("0,0,0", mark=encoded(plain(8, 4, (*RED, 0)))).pixels[0, 0, :3].tolist() == list(BLUE)


@pytest.mark.parametrize(
    ("within", "expected"),
    [("50", (20, 10)), ("none,50", (20, 10)), ("50,10", (4, 2)), ("200", (40, 20)), ("none,none", (40, 20))],
)
def test_it_is_fit_into_its_share_of_the_image(within: str, expected: tuple[int, int]) -> None:
    assert _box(_marked(f"0,0,0,{within}"))[2:] == expected


def test_an_animation_plays_it_along_and_it_begins_again_when_it_is_over() -> None:
    under = film(BLUE, BLACK, (0, 0, 90), width=20, height=20)
    over = film(RED, GREEN, width=8, height=8)
    frames = made(under, "watermark(m,0,0,0)", overlays={"m": over}, to=Format.GIF).frames
    assert [frame[3, 3, :3].tolist() for frame in frames] == [list(RED), list(GREEN), list(RED)]
    assert [frame[15, 15, :3].tolist() for frame in frames] == [list(BLUE), list(BLACK), [0, 0, 90]]


def test_a_still_image_shows_the_first_frame_and_stays_still() -> None:
    made_so = _marked("0,0,0", mark=film(RED, GREEN, width=8, height=4), to=Format.WEBP)
    assert made_so.size == (40, 20)
    assert len(made_so.frames) == 1
    assert made_so.pixels[1, 1, :3] == pytest.approx(RED, abs=8)


def test_what_it_needs_is_known_and_dpr_moves_it() -> None:
    assert asked("watermark(a%2Fb.png,0,0)", "watermark(b64:Yy5wbmc,0,0)").keys == ("a/b.png", "c.png")
    assert asked("watermark(m,10,-10,0)", "dpr(2)") == asked("watermark(m,20,-20,0)")
    assert canonical("watermark(m,right,0,0)") == canonical("watermark(m,r-0,l,0)")


@pytest.mark.parametrize(
    "text",
    [
        "watermark()",
        "watermark(m,x,0)",
        "watermark(m,0,0,101)",
        "watermark(m,0,0,0,0)",
        "watermark(m,0,0,0,10,1001)",
        "watermark(m,0,0,0,auto)",
    ],
)
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("watermark: ")
