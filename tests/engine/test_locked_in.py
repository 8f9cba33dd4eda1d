"""A worker that can open nothing makes the same bytes as a process that can.

Whatever a filter, a decoder or an encoder would load only when first used is not there any more behind the
lock; this finds it.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from imgproxy.engine import readers
from imgproxy.engine.pool import Pool
from imgproxy.engine.worker_protocol import Encoding, Job
from imgproxy.image.filters import FILTERS
from imgproxy.image.formats import WRITTEN, Format
from imgproxy.image.negotiate import Output
from imgproxy.image.transform import Fit, Transform
from tests.engine.readers.files import pdf, pillowed, quarters
from tests.pictures import (
    BLUE,
    CEILING,
    GREEN,
    RED,
    asked,
    descriptor,
    encoded,
    film,
    gradient,
    noise,
    oriented,
    quadrants,
    render,
    svg,
)

_AS_PILLOW_HAS_IT = {
    "heic": pillowed(quarters(64, 48), "HEIF"),
    "bmp": pillowed(quarters(60, 40), "BMP"),
    "bmp of a palette": pillowed(quarters(60, 40), "BMP", "P"),
    "ico": pillowed(quarters(48, 48), "ICO", sizes=[(48, 48)]),
    "ico of a bitmap": pillowed(quarters(48, 48), "ICO", sizes=[(48, 48)], bitmap_format="bmp"),
    "jp2": pillowed(quarters(60, 40), "JPEG2000"),
    "jxl": pillowed(quarters(60, 40), "JXL"),
    "pdf": pdf(60, 40, "1 0 0 rg 0 0 9 9 re f BT /F1 9 Tf 9 9 Td (text) Tj ET"),
}
_WATERMARK = encoded(quadrants(20, 20).addalpha())
_EFFECTS = (
    "background_color(red)",
    "blur(3)",
    "brightness(20)",
    "contrast(20)",
    "fill(auto)",
    "fill(blur)",
    "grayscale()",
    "hue(90)",
    "padding(red,3)",
    "proportion(0.5)",
    "rgb(10,0,-10)",
    "rotate(90)",
    "round_corner(8)",
    "saturation(-50)",
    "sharpen(2)",
    "watermark(mark,center,repeat,30,50)",
)


def _p3() -> bytes:
    return encoded(gradient(60, 40).icc_transform("p3", input_profile="srgb"), ".jpg", keep="icc")


def _cmyk() -> bytes:
    return encoded(gradient(60, 40).icc_transform("cmyk", input_profile="srgb"), ".jpg", keep="icc")


def _coded() -> bytes:
    """An AVIF whose code points are BT.2020 and PQ."""
    data = encoded(gradient(60, 40), ".avif", lossless=True)
    return data.replace(b"colrnclx\0\1\0\r", b"colrnclx\0\t\0\x10", 1)


ORIGINALS = {
    "jpeg": encoded(noise(60, 40), ".jpg"),
    "png": encoded(gradient(60, 40).addalpha()),
    "webp": encoded(gradient(60, 40), ".webp"),
    "avif": encoded(gradient(60, 40), ".avif"),
    "gif": film(RED, GREEN, BLUE),
    "animated webp": film(RED, GREEN, BLUE, suffix=".webp"),
    "tiff": encoded(gradient(60, 40), ".tiff"),
    "svg": svg('<circle cx="30" cy="20" r="15" fill="#00f"/>', 'viewBox="0 0 60 40"'),
    "upright": oriented(6),
    "wide gamut": _p3(),
    "cmyk": _cmyk(),
    "wide gamut by code points": _coded(),
    **_AS_PILLOW_HAS_IT,
}


@pytest.mark.parametrize("name", Format)
def test_every_type_has_an_original_here(name: Format) -> None:
    found = set()
    for data in ORIGINALS.values():
        with descriptor(data) as number:
            found.add(readers.open_image(number).facts.format)
    assert name in found


def test_every_effect_is_tried() -> None:
    tried = {text.split("(")[0] for text in _EFFECTS}
    assert tried == {each.name for each in FILTERS if each.apply is not None}


async def test_every_type_is_read_and_written_as_outside() -> None:
    jobs = [
        (original, asked(fit=Fit.INSIDE, width=30), Output((to,)), Encoding())
        for original in ORIGINALS.values()
        for to in WRITTEN
    ]
    await _same(jobs)


async def test_every_effect_is_applied_as_outside() -> None:
    jobs = [
        (
            ORIGINALS[name],
            asked(text, width=30, height=30, smart=name == "jpeg"),
            Output((Format.PNG,)),
            Encoding(),
        )
        for text in _EFFECTS
        for name in ("jpeg", "png", "gif")
    ]
    await _same(jobs)


async def test_metadata_is_kept_and_told_as_outside() -> None:
    keep = Encoding(metadata="keep")
    await _same(
        [
            (each, asked("max_bytes(900)", width=50), Output((Format.JPEG,)), keep)
            for each in ORIGINALS.values()
        ]
    )


async def _same(jobs: list[tuple[bytes, Transform, Output, Encoding]]) -> None:
    pool = Pool(2, 8)
    await pool.start()
    try:
        for original, wish, output, encoding in jobs:
            needs = wish.keys
            job = Job(wish, output, encoding, CEILING, overlays=needs)
            with ExitStack() as stack:
                source = stack.enter_context(descriptor(original))
                overlays = [stack.enter_context(descriptor(_WATERMARK)) for _ in needs]
                inside = await pool.run(job, source, overlays)
            outside = render(
                original,
                wish,
                to=output.candidates[0],
                overlays=dict.fromkeys(needs, _WATERMARK),
                encoding=encoding,
            )
            assert inside.body == outside.data, job
    finally:
        await pool.close()
