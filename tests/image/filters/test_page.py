"""One page or frame is shown, as a still image."""

from __future__ import annotations

import pytest

from imgproxy.errors import BadArgument
from imgproxy.image.formats import Format
from tests.pictures import BLUE, GREEN, RED, asked, encoded, film, gradient, made, plain, refusal


@pytest.mark.parametrize(("number", "colour"), [(1, RED), (2, GREEN), (3, BLUE)])
@pytest.mark.parametrize("kind", [".gif", ".webp"])
def test_frames_are_counted_from_one(kind: str, number: int, colour: tuple[int, int, int]) -> None:
    made_so = made(film(RED, GREEN, BLUE, suffix=kind), f"page({number})", to=None)
    assert made_so.rendered.pages == 1
    assert len(made_so.frames) == 1
    assert made_so.pixels[3, 3, :3] == pytest.approx(colour, abs=3)


def test_a_film_may_begin_later() -> None:
    made_so = made(film(RED, GREEN, BLUE, delays=[100, 200, 300]), "page(2)", "max_frames(2)", to=Format.WEBP)
    assert made_so.strip.get("delay") == [200, 300]
    assert [int(frame[3, 3].argmax()) for frame in made_so.frames] == [1, 2]


def test_a_page_of_a_tiff_has_its_own_size() -> None:
    pyramid = encoded(gradient(512, 256), ".tif", tile=True, pyramid=True, tile_width=64, tile_height=64)
    assert [made(pyramid, f"page({number})").size for number in (1, 2, 3)] == [
        (512, 256),
        (256, 128),
        (128, 64),
    ]


def test_a_page_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadArgument, match="page: the source image has 3, not 4"):
        made(film(RED, GREEN, BLUE), "page(4)")
    with pytest.raises(BadArgument, match="page: the source image has 1, not 2"):
        made(plain(4, 4, RED), "page(2)")


def test_the_first_page_is_not_the_whole_film() -> None:
    assert asked("page(1)") != asked()


@pytest.mark.parametrize("text", ["page()", "page(0)", "page(-1)", "page(100001)", "page(1.5)"])
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("page: ")
