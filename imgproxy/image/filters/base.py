"""The base of filters: a name, declared arguments, and either an effect on pixels or an option.

An *effect* is `apply(image, stage, *values) -> image`. It receives a libvips image of 8-bit sRGB with
or without alpha, calls its methods, and imports nothing of libvips. All frames of an animation lie
below one another in the one image (`stage.each_frame` takes them apart). An *option* is
`set(options, *values) -> options`.

To add one: a file here, a line in the tuple of `__init__.py`, a test file of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from imgproxy.image.filters.arguments import Argument, parse_arguments
from imgproxy.image.options import Options

Image: TypeAlias = Any  # a pyvips.Image: its methods are made at run time, there is no type to name


class Extent(NamedTuple):
    """The size of one frame between two filters, and what `fill` fills, in pixels."""

    width: int
    height: int
    box: tuple[int, int]
    """Width and height that the URL asks for."""
    padding: tuple[int, int, int, int]
    """Left, top, right and bottom padding of the URL, which `fill` adds to the box."""

    @property
    def pixels(self) -> int:
        """Width × height."""
        return self.width * self.height


class Stage(Protocol):
    """The surroundings of an effect's image."""

    @property
    def extent(self) -> Extent:
        """The size of one frame of the image."""

    @property
    def frames(self) -> int:
        """The number of frames, which lie below one another in the image."""

    @property
    def imagor(self) -> bool:
        """Whether to follow imagor: no weights of alpha, no blur and no sharpening of animations."""

    def each_frame(self, image: Image, change: Callable[[Image], Image]) -> Image:
        """Change every frame separately; all results must have one size."""

    def overlay(self, key: str, *, within: tuple[int, int] | None, frames: int) -> Image:
        """Another image the URL names, fit into `within` (or as it is), of `frames` frames."""

    def svg(self, text: str) -> Image:
        """Render an SVG that this program wrote."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of the URL language; exactly one of `apply` and `set` is given."""

    name: str
    arguments: Sequence[Argument] = ()
    apply: Callable[..., Image] | None = None
    set: Callable[..., Options] | None = None
    idle: Callable[..., bool] = lambda *_: False
    """Whether these values leave every image as it is; such a call is in no cache key."""
    keys: Callable[..., tuple[str, ...]] = lambda *_: ()
    """Return the keys in these values; fetched and authorized like the source image."""
    resizes: Callable[..., Extent] = lambda extent, *_: extent
    """Return the size after an effect, before any pixel is computed."""
    nanoseconds: Callable[..., float] = lambda *_: 0.0
    """Return an effect's CPU time per pixel of the larger image, before or after it (`image.cost`)."""
    parse: Callable[[str], tuple[Any, ...]] | None = None
    """Parses arguments that are no comma list."""

    def call(self, text: str) -> FilterCall:
        """Parse the arguments; raise `BadArgument` with the wrong one and the expected form."""
        if self.parse is not None:
            return FilterCall(self.name, self.parse(text))
        return FilterCall(self.name, parse_arguments(self.name, self.arguments, text))


@dataclass(frozen=True, slots=True)
class FilterCall:
    """A filter of a URL with its values."""

    name: str
    values: tuple[Any, ...] = ()


def on_colours(image: Image, change: Callable[[Image], Image]) -> Image:
    """Change the colour bands and leave alpha alone."""
    if not image.hasalpha():
        return change(image)
    last = image.bands - 1
    return change(image.extract_band(0, n=last)).bandjoin(image.extract_band(last))


_WHOLE = ("uchar", "ushort")


def premultiplied(image: Image, change: Callable[[Image], Image]) -> Image:
    """Change an image whose colours are weighted by alpha, so that hidden ones do not show.

    Weighted colours are rounded to the image's own depth: a blur of floats takes 3 to 13 times as long
    (measured on 1 MP: sigma 2 52 ms against 15, sigma 10 342 against 26), a resize three times (4 MP: 79 ms
    against 29).
    """
    if not image.hasalpha():
        return change(image)
    depth = image.format
    weighted = image.premultiply()
    if depth not in _WHOLE:
        return change(weighted).unpremultiply()
    return change(weighted.rint().cast(depth)).unpremultiply().rint().cast(depth)


def gaussian(image: Image, sigma: float, *, weighted: bool = True) -> Image:
    """Blur one frame; unless it is not weighted by alpha, transparent parts take no colour into it."""
    if not weighted:
        return image.gaussblur(sigma)
    return premultiplied(image, lambda colours: colours.gaussblur(sigma))
