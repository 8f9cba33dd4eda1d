"""Pictures drawn by formula, and the way of one through the engine, in this process.

Nothing is stored: what a test expects can be computed from the formula. The engine is told to behave as in a
worker when this file is first imported (`vips.prepare`).
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pyvips

from imgproxy.engine import pipeline, vips
from imgproxy.engine.worker_protocol import Encoding, Job, Rendered
from imgproxy.errors import BadArgument
from imgproxy.image.colour import Colour
from imgproxy.image.filters import parse_call
from imgproxy.image.filters.base import FilterCall, Image
from imgproxy.image.formats import TRAITS, Format
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Ceiling
from imgproxy.image.transform import Fit, Limits, Transform, build

vips.prepare()

Pixels = npt.NDArray[Any]
"""Height × width × bands."""

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (128, 128, 128)
CORNERS = (RED, GREEN, BLUE, YELLOW)
"""Of `quadrants`: top left, top right, bottom left, bottom right."""

CEILING = Ceiling(pixels=50_000_000, frames=100, side=8192)


# -- pictures ----------------------------------------------------------------------------------------------


def image(pixels: Pixels, interpretation: str = "srgb") -> Image:
    """A libvips image of an array."""
    return pyvips.Image.new_from_array(np.ascontiguousarray(pixels)).copy(interpretation=interpretation)


def plain(width: int, height: int, colour: Sequence[int]) -> Image:
    """One colour of one to four parts."""
    interpretation = "srgb" if len(colour) > 2 else "b-w"
    return image(np.full((height, width, len(colour)), colour, np.uint8), interpretation)


def quadrants(width: int, height: int, colours: Sequence[Sequence[int]] = CORNERS) -> Image:
    """Four colours, one in each quarter."""
    pixels = np.empty((height, width, len(colours[0])), np.uint8)
    for index, colour in enumerate(colours):
        down = slice(height // 2, None) if index >= 2 else slice(0, height // 2)
        across = slice(width // 2, None) if index % 2 else slice(0, width // 2)
        pixels[down, across] = colour
    return image(pixels)


def gradient(width: int, height: int) -> Image:
    """Red grows to the right, green downwards, blue stands at 77."""
    red = np.linspace(0, 255, width)[None, :]
    green = np.linspace(0, 255, height)[:, None]
    return image(np.stack(np.broadcast_arrays(red, green, np.full((1, 1), 77.0)), 2).round().astype(np.uint8))


def checkerboard(width: int, height: int, cell: int) -> Image:
    """White and black cells, white at the top left."""
    across, down = np.arange(width)[None, :] // cell, np.arange(height)[:, None] // cell
    return image(np.repeat((((across + down) % 2 == 0) * 255).astype(np.uint8)[..., None], 3, 2))


def noise(width: int, height: int) -> Image:
    """What no encoder can make small; the same every time."""
    return image(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


def spot(width: int, height: int, left: int, top: int, *, side: int = 40) -> Image:
    """A busy red and white square on even grey."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    across, down = np.arange(side)[None, :] // 5, np.arange(side)[:, None] // 5
    striped = np.where(((across + down) % 2 == 0)[..., None], np.uint8(255), np.array(RED, np.uint8))
    pixels[top : top + side, left : left + side] = striped
    return image(pixels)


def disc(side: int, colour: Sequence[int], hidden: Sequence[int]) -> Image:
    """A disc with a soft edge on transparent pixels of another colour."""
    middle = np.arange(side) + 0.5 - side / 2
    alpha = np.clip(side * 0.3 - np.hypot(middle[None, :], middle[:, None]) + 0.5, 0, 1) * 255
    pixels = np.empty((side, side, 4), np.uint8)
    pixels[..., :3] = np.where((alpha > 0)[..., None], colour, hidden)
    pixels[..., 3] = alpha
    return image(pixels)


def deep(width: int, height: int) -> Image:
    """A 16-bit gradient whose low byte repeats the high one."""
    pixels = gradient(width, height).numpy().astype(np.uint16) * 257
    return image(pixels, "rgb16")


# -- files -------------------------------------------------------------------------------------------------


def encoded(picture: Image, suffix: str = ".png", **options: Any) -> bytes:
    """A picture as a file's bytes."""
    return bytes(picture.write_to_buffer(suffix, **options))


def tagged(picture: Image, **fields: Any) -> Image:
    """A picture with fields of metadata: text, a number, a list of numbers or bytes."""
    marked = picture.copy()
    types = {
        str: pyvips.GValue.gstr_type,
        int: vips.INT,
        list: vips.INTS,
        bytes: pyvips.GValue.blob_type,
    }
    for name, value in fields.items():
        marked.set_type(types[type(value)], name.replace("_", "-"), value)
    return marked


def oriented(orientation: int, width: int = 40, height: int = 20) -> bytes:
    """A JPEG that is `quadrants(width, height)` to a person, stored as EXIF `orientation` says."""
    undone = {
        1: lambda upright: upright,
        2: lambda upright: upright.fliphor(),
        3: lambda upright: upright.rot180(),
        4: lambda upright: upright.flipver(),
        5: lambda upright: upright.rot270().flipver(),
        6: lambda upright: upright.rot270(),
        7: lambda upright: upright.rot90().flipver(),
        8: lambda upright: upright.rot90(),
    }
    stored = undone[orientation](quadrants(width, height))
    marked = tagged(stored, orientation=orientation)
    return encoded(marked, ".jpg", Q=100, subsample_mode="off")


def animation(
    frames: Sequence[Image], suffix: str = ".gif", *, delays: Sequence[int] = (), loop: int = 0
) -> bytes:
    """An animation of frames of one size; delays in milliseconds."""
    strip = tagged(
        vips.join_frames(frames),
        page_height=frames[0].height,
        delay=list(delays) or [100] * len(frames),
        loop=loop,
    )
    return encoded(strip, suffix, **({"lossless": True} if suffix == ".webp" else {}))


def film(*colours: Sequence[int], width: int = 16, height: int = 12, **how: Any) -> bytes:
    """An animation of plain frames."""
    return animation([plain(width, height, colour) for colour in colours], **how)


def svg(body: str, head: str) -> bytes:
    """An SVG with attributes of its root in `head`."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f"{head}>{body}</svg>"
    ).encode()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to no pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 64)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


# -- through the engine ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A result: its bytes, and what the engine says of it."""

    data: bytes
    rendered: Rendered

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as the engine says; that the bytes agree is a test of its own."""
        return self.rendered.width, self.rendered.height

    @property
    def image(self) -> Image:
        """The first frame, opened again."""
        return pyvips.Image.new_from_buffer(self.data, "").copy_memory()

    @property
    def pixels(self) -> Pixels:
        """The first frame."""
        return array(self.image)

    @property
    def strip(self) -> Image:
        """All frames below one another."""
        return pyvips.Image.new_from_buffer(self.data, "", n=-1).copy_memory()

    @property
    def frames(self) -> list[Pixels]:
        """Every frame."""
        strip = self.strip
        count = strip.height // strip.get("page-height") if strip.get_typeof("page-height") else 1
        return np.split(array(strip), count)


def array(picture: Image) -> Pixels:
    """Pixels of 32-bit signed numbers, so that they can be subtracted."""
    return np.atleast_3d(picture.numpy()).astype(np.int32)


def corners(pixels: Pixels, bands: int = 3) -> tuple[tuple[int, ...], ...]:
    """The colours in the middles of the four quarters, each part rounded to 0, 128 or 255."""
    height, width = pixels.shape[:2]
    places = [(height // 4, width // 4), (height // 4, -width // 4)]
    places += [(-height // 4, width // 4), (-height // 4, -width // 4)]
    steps = np.array([0, 128, 255])
    return tuple(
        tuple(int(steps[np.abs(steps - part).argmin()]) for part in pixels[place][:bands]) for place in places
    )


def distance(one: Pixels, other: Pixels) -> int:
    """The largest difference of any part of any pixel."""
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@contextmanager
def descriptor(data: bytes = b"") -> Iterator[int]:
    """A memory file of these bytes."""
    number = os.memfd_create("picture", os.MFD_CLOEXEC)
    try:
        os.write(number, data)
        os.lseek(number, 0, os.SEEK_SET)
        yield number
    finally:
        os.close(number)


def call(text: str) -> FilterCall:
    """One filter as a URL has it: `blur(4)`."""
    name, arguments = re.fullmatch(r"(\w+)\((.*)\)", text).groups()  # type: ignore[union-attr]
    return parse_call(name, arguments)


def asked(*filters: str, limits: Limits = Limits(), **wish: Any) -> Transform:  # noqa: B008  frozen
    """A transform in normal form."""
    fit_in = wish.get("fit", Fit.COVER) in (Fit.INSIDE, Fit.OUTSIDE)
    return build(Transform(**wish), [call(each) for each in filters], fit_in=fit_in, limits=limits)


def canonical(*filters: str, **wish: Any) -> str:
    """The text that keys are made of."""
    return asked(*filters, **wish).canonical()


def refusal(text: str) -> str:
    """What is said of a filter that is refused."""
    with pytest.raises(BadArgument) as refused:
        call(text)
    return str(refused.value)


def render(
    original: bytes | Colour,
    transform: Transform,
    *,
    to: Format | None = Format.PNG,
    overlays: Mapping[str, bytes] | None = None,
    encoding: Encoding = Encoding(),  # noqa: B008  frozen
    ceiling: Ceiling = CEILING,
    meta: bool = False,
    show_damaged: bool = False,
) -> Made:
    """Run the pipeline on a source image; without `to` the answer is of the source image's own type."""
    given = dict(overlays or {})
    job = Job(
        transform,
        Output() if to is None else Output((to,)),
        encoding,
        ceiling,
        plain=original if isinstance(original, Colour) else None,
        overlays=tuple(given),
        meta=meta,
        show_damaged=show_damaged,
    )
    with ExitStack() as stack:
        source = None if isinstance(original, Colour) else stack.enter_context(descriptor(original))
        below = [stack.enter_context(descriptor(data)) for data in given.values()]
        result = stack.enter_context(descriptor())
        rendered = pipeline.render(job, source, below, result, stop=lambda _: None)
        data = os.pread(result, os.fstat(result).st_size, 0)
    return Made(data, rendered)


def made(original: bytes | Image, *filters: str, **how: Any) -> Made:
    """Make a picture of a source image, asked for as in a URL; what is no wish is for `render`."""
    engine = ("to", "overlays", "encoding", "ceiling", "meta", "show_damaged")
    wish = {name: value for name, value in how.items() if name not in engine}
    data = original if isinstance(original, bytes) else encoded(original)
    return render(data, asked(*filters, **wish), **{name: how[name] for name in engine if name in how})


def suffix(format_: Format) -> str:
    """What libvips calls a type by."""
    return f".{TRAITS[format_].extension}"
