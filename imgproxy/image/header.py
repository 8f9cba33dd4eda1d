"""Facts of a source image from its header, before any pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from imgproxy.image.formats import Format


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """A parsed header. `width` and `height` are stored pixels of one page, before EXIF orientation."""

    format: Format
    width: int
    height: int
    pages: int = 1
    orientation: int = 1
    """EXIF orientation, 1–8; 5–8 lie on their side."""
    alpha: bool = False
    nclx: tuple[int, int] | None = None
    """Colour primaries and transfer characteristics (ITU-T H.273) of an AVIF or HEIC that names them."""
    exact: tuple[float, float] | None = None
    """A drawing's width and height before they were rounded; never turned."""

    @property
    def sideways(self) -> bool:
        """Whether width and height swap when the image is set upright."""
        return self.orientation >= 5

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height after EXIF orientation."""
        return (self.height, self.width) if self.sideways else (self.width, self.height)
