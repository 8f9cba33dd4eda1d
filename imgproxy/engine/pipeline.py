"""Transform pipeline: the order of its steps, and the function that runs them.

The header is read and limits are checked before any pixel is decoded. Colours and filters come after the
image is small. To move a step, move its line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from imgproxy.engine import encode, readers, sandbox, steps, strip_metadata, vips
from imgproxy.engine.overlays import Overlays
from imgproxy.engine.steps import Work
from imgproxy.engine.worker_protocol import Job, Rendered
from imgproxy.errors import BrokenImage, EngineFailed, ImageTooLarge, ImgproxyError, TransformFailed
from imgproxy.image import plan as planning
from imgproxy.image.formats import TRAITS

_DRAWN = 256
"""Pixels: the larger side at which a drawing is tried, which has no pixels of its own."""

_CODEC_BYTES = 24
"""Bytes a pixel that a codec takes at most: the AVIF encoder 24, the JPEG 2000 decoder 19."""

STEPS: tuple[Callable[[Work], None], ...] = (
    steps.probe,
    steps.check_limits,
    steps.load,
    steps.trim,
    steps.make_plan,
    steps.extract,
    steps.resize,
    steps.crop,
    steps.compute_upright,
    steps.smart_crop,
    steps.flip,
    steps.convert_colours,
    steps.apply_filters,
    steps.check_result_size,
    steps.flatten,
    steps.write,
)


def render(
    job: Job,
    source: int | None,
    overlays: Sequence[int],
    result: int,
    *,
    stop: Callable[[object], None],
) -> Rendered:
    """Transform the source's descriptor into the result's; both stay open.

    `overlays` are descriptors in the order of `job.overlays`. `stop` is handed each image that can be stopped
    by `set_kill`. Raise an `ImgproxyError` for every failure, never an error of libvips.
    """
    if job.strip:
        return strip_metadata.render(source, result)
    below = dict(zip(job.overlays, overlays, strict=True))
    opened = Overlays(below, job.ceiling, imagor=job.encoding.imagor)
    work = Work(job, source, result, opened, stop)
    try:
        _take_steps(work)
    except BrokenImage as error:
        if source is not None and work.opened is None:
            raise  # the header cannot be read
        if source is None or (fault := _source_fault(work, source)) is None:
            raise _other_fault(work, overlays) from error
        if not (job.show_damaged and _shows(work, source)):
            raise fault from error
        work = _show_damaged(work)
    return Rendered(
        format=work.format,
        width=work.image.width,
        height=work.image.height // work.frames,
        pages=work.frames,
        size=work.size,
        decode_seconds=work.decode_seconds,
        encode_seconds=work.encode_seconds,
        info=_info(work) if job.meta else {},
        damaged=work.lenient,
    )


def _take_steps(work: Work) -> None:
    try:
        for step in STEPS:
            step(work)
    except vips.Error as error:
        raise vips.translate(error) from error


def _source_fault(work: Work, source: int) -> ImgproxyError | None:
    """Return the error to blame on the source, found by decoding it plainly; None if it decodes.

    libvips distinguishes a damaged image from a bad operation by message text alone. If the first frame does
    not decode, the source is broken; if another requested frame does not, this result cannot be made.
    """
    if not _decodes(work, source, 0, 1):
        if not _has_memory(work.facts.width * work.facts.height):
            return ImageTooLarge("the image needs more memory than is allowed")
        return BrokenImage("the source image is damaged: its pixels cannot be decoded")
    if (work.first, work.frames) != (0, 1) and not _decodes(work, source, work.first, work.frames):
        return TransformFailed("a frame of the source image is damaged")
    return None


def _other_fault(work: Work, overlays: Sequence[int]) -> ImgproxyError:
    """Blame a overlay that does not decode plainly, otherwise the operation, which is our defect."""
    if not all(_decodes(work, overlay, 0, 1) for overlay in overlays):
        return TransformFailed("a further image in the URL is damaged")
    if work.image is not None and not _has_memory(work.image.width * work.image.height):
        return ImageTooLarge("the image needs more memory than is allowed")
    return EngineFailed("the image could not be made")


def _has_memory(pixels: int) -> bool:
    """Return whether no codec can lack memory for so many pixels; some call a lack of it damage."""
    return sandbox.allows(pixels * _CODEC_BYTES)


def _shows(work: Work, source: int) -> bool:
    opened = readers.open_image(source, without=work.job.ceiling.without).page(work.first)
    return isinstance(opened, vips.Opened) and vips.shows(
        opened, first=work.first, count=work.frames, stop=work.stop
    )


def _show_damaged(strict: Work) -> Work:
    """Make the result once more of what decodes; if that fails too, this transform is refused alone."""
    encode.empty(strict.result)
    work = Work(strict.job, strict.source, strict.result, strict.overlays, strict.stop, lenient=True)
    try:
        _take_steps(work)
    except BrokenImage as error:
        raise TransformFailed("the source image is damaged: its pixels cannot be decoded") from error
    return work


def _decodes(work: Work, descriptor: int, first: int, count: int) -> bool:
    """Return whether frames decode; raise `ImageTooLarge` or `DeadlinePassed` if that cannot be tried."""
    try:
        opened = readers.open_image(descriptor, without=work.job.ceiling.without).page(first)
        width, height = opened.facts.width, opened.facts.height
        shrink = max(1.0, max(width, height) / _DRAWN) if TRAITS[opened.facts.format].vector else 1.0
        planning.check(opened.facts, count, work.job.ceiling, factor=shrink)
        image = opened.load(shrink=shrink, first=first, count=count, sequential=True)
        work.stop(image)
        vips.decode(image)
    except BrokenImage:
        return False
    return True


def _info(work: Work) -> dict[str, Any]:
    """Return the result's metadata under imagor's names (`/meta/…`)."""
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
