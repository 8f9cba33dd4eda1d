"""From bytes to bytes: the order of a picture's steps, and the one function that runs them.

Header and limits come before any pixel; the plan before any cut; colours and filters after the picture is
small. To move a step, move its line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from imgproxy.engine import encode, steps, vips
from imgproxy.engine.layers import Layers
from imgproxy.engine.protocol import Job, Rendered
from imgproxy.engine.steps import Work
from imgproxy.image.formats import TRAITS

STEPS: tuple[Callable[[Work], None], ...] = (
    steps.probe,
    steps.limit,
    steps.load,
    steps.trim,
    steps.layout,
    steps.extract,
    steps.resize,
    steps.crop,
    steps.settle,
    steps.attend,
    steps.flip,
    steps.colour,
    steps.effects,
    steps.bound,
    steps.fit,
    steps.write,
)


def render(
    job: Job,
    original: int | None,
    layers: Sequence[int],
    result: int,
    *,
    stop: Callable[[object], None],
) -> Rendered:
    """Make one picture from the original's descriptor into the result's; both stay the caller's.

    `layers` are descriptors in the order of `job.layers`. `stop` is handed each image that can be stopped
    by `set_kill`. Raise an `ImgproxyError` for whatever is wrong, nothing of libvips's own.
    """
    below = dict(zip(job.layers, layers, strict=True))
    further = Layers(below, job.ceiling, imagor=job.encoding.imagor)
    work = Work(job, original, result, further, stop)
    try:
        for step in STEPS:
            step(work)
    except vips.Error as error:
        raise vips.translate(error) from error
    return Rendered(
        format=work.format,
        width=work.image.width,
        height=work.image.height // work.frames,
        pages=work.frames,
        size=work.size,
        decode_seconds=work.decode_seconds,
        encode_seconds=work.encode_seconds,
        info=_info(work) if job.meta else {},
    )


def _info(work: Work) -> dict[str, Any]:
    """The result's facts in imagor's names (`/meta/…`)."""
    marked = work.image.get_typeof("orientation")
    return {
        "format": work.format.value,
        "content_type": TRAITS[work.format].mime,
        "width": work.image.width,
        "height": work.image.height // work.frames,
        "orientation": 1 if marked or work.facts.orientation != 1 else 0,
        "pages": work.frames,
        "bands": work.image.bands,
        "exif": encode.facts(work.image, work.job.transform.options, work.job.encoding),
    }
