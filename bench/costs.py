"""Costs: CPU time per pixel of each filter, decoder and encoder, beside what the code declares of it.

A soft photo of 2000×1500 pixels, opaque and with alpha, on one core. Declared costs must not be more than
what is measured on the machine that they were declared on: a transform is refused by them before it is tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pyvips

from bench.figure import Row, Run
from imgproxy.engine import vips
from imgproxy.image.filters import named, parse_call
from imgproxy.image.filters.base import Extent
from imgproxy.image.formats import TRAITS, WRITTEN, Format

_WIDTH, _HEIGHT = 2000, 1500
_CALLS = (
    *("brightness(10)", "contrast(10)", "rgb(1,2,3)", "hue(20)", "saturation(30)", "grayscale()"),
    *("blur(4)", "blur(40)", "blur(150,150)", "sharpen(1)", "round_corner(20)", "proportion(0.5)"),
    *("padding(red,10)", "fill(blur)", "background_color(red)", "rotate(90)", "watermark(mark)"),
)
_WRITING: dict[Format, dict[str, Any]] = {
    Format.JPEG: {"Q": 80},
    Format.PNG: {"compression": 3, "filter": "all"},
    Format.WEBP: {"Q": 80, "effort": 4},
    Format.AVIF: {"Q": 63, "effort": 0, "compression": "av1"},
    Format.TIFF: {"compression": "deflate"},
}


class _Stage:
    """What filters need beside their image."""

    extent = Extent(_WIDTH, _HEIGHT, (_WIDTH, _HEIGHT), (0, 0, 0, 0))
    frames = 1
    imagor = False

    def __init__(self, mark: Any) -> None:
        self._mark = mark

    def each_frame(self, image: Any, change: Callable[[Any], Any]) -> Any:
        return change(image)

    def overlay(self, _key: str, **_how: Any) -> Any:
        return self._mark

    def svg(self, text: str) -> Any:
        return vips.draw_svg(text).copy_memory()


def measure(_run: Run) -> Iterator[Row]:
    """A row for each filter and type."""
    vips.prepare()
    opaque = _photo()
    clear = opaque.bandjoin(opaque.extract_band(0)).copy(interpretation="srgb").copy_memory()
    for text in _CALLS:
        yield _filter(text, opaque, clear)
    for format_ in WRITTEN:
        if format_ in _WRITING:
            yield from _type(format_, opaque)


def _filter(text: str, opaque: Any, clear: Any) -> Row:
    call = parse_call(*text.rstrip(")").split("(", 1))
    declared = named(call.name)
    assert declared.apply is not None
    apply, stage = declared.apply, _Stage(clear)
    found = [
        _nanoseconds(lambda image=image: apply(image, stage, *call.values).copy_memory())  # type: ignore[misc]
        for image in (opaque, clear)
    ]
    return _row(text, declared.nanoseconds(*call.values), *found)


def _type(format_: Format, image: Any) -> Iterator[Row]:
    traits, suffix = TRAITS[format_], f".{TRAITS[format_].extension}"
    written = image.write_to_buffer(suffix, **_WRITING[format_])
    encoded = _nanoseconds(lambda: image.write_to_buffer(suffix, **_WRITING[format_]))
    decoded = _nanoseconds(lambda: pyvips.Image.new_from_buffer(written, "").copy_memory())
    yield _row(f"write {format_}", traits.encode_ns, encoded)
    yield _row(f"read {format_}", traits.decode_ns, decoded)


def _row(name: str, declared: float, opaque: float, clear: float | None = None) -> Row:
    values = {"declared ns": declared, "opaque ns": opaque}
    return Row(name, values if clear is None else {**values, "alpha ns": clear})


def _nanoseconds(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1e9 / (_WIDTH * _HEIGHT)


def _photo() -> Any:
    grain = pyvips.Image.gaussnoise(_WIDTH, _HEIGHT, mean=128, sigma=40, seed=1).gaussblur(2)
    bands = grain.bandjoin([grain.fliphor(), grain.flipver()])
    return bands.cast("uchar").copy(interpretation="srgb").copy_memory()
