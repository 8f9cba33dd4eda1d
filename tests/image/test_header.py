"""A header's facts tell how a person sees the image."""

from __future__ import annotations

import pytest

from imgproxy.image.formats import Format
from imgproxy.image.header import ImageHeader


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
def test_upright_images_keep_their_sides(orientation: int) -> None:
    facts = ImageHeader(Format.JPEG, 30, 20, orientation=orientation)
    assert (facts.sideways, facts.upright) == (False, (30, 20))


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_images_on_their_side_swap_them(orientation: int) -> None:
    facts = ImageHeader(Format.JPEG, 30, 20, orientation=orientation)
    assert (facts.sideways, facts.upright) == (True, (20, 30))
