"""Fixed steps of a transform, each a small function on `Work`; `pipeline` has their order.

A step without its parameter does nothing. Everything is lazy up to `compute_upright`, which computes the
small image into memory: steps before it read the source once from top to bottom, steps after it may read
any pixel. An image that no step needs whole is computed by its encoder, line by line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter

from imgproxy.engine import colour_management, encode, geometry, readers, vips
from imgproxy.engine.overlays import Overlays
from imgproxy.engine.readers.family import Opened
from imgproxy.engine.worker_protocol import Job
from imgproxy.image import cost
from imgproxy.image import plan as planning
from imgproxy.image.filters import named
from imgproxy.image.filters.base import Extent, Image
from imgproxy.image.formats import TRAITS, Format
from imgproxy.image.header import ImageHeader
from imgproxy.image.negotiate import choose
from imgproxy.image.plan import Box, Plan, Size

_MAGENTA = [255, 0, 255]  # what see-through borders are compared as (imagor)

_MEDIAN = 3  # pixels a side that find_trim needs for its median


@dataclass(slots=True)
class Work:
    """State of one transform."""

    job: Job
    source: int | None
    result: int
    overlays: Overlays
    stop: Callable[[object], None]
    lenient: bool = False
    """Whether rows of the source that do not decode are left empty."""
    facts: ImageHeader = field(init=False)
    format: Format = field(init=False)
    plan: Plan = field(init=False)
    image: Image = None
    opened: Opened | None = None
    frames: int = 1
    first: int = 0
    trim: Box | None = None
    factor: float = 1
    """By how much the decoder shrinks."""
    size: int = 0
    decode_seconds: float = 0.0
    encode_seconds: float = 0.0
    begun: float = field(default_factory=perf_counter)

    @property
    def streams(self) -> bool:
        """Return whether the image can stream from decoder to encoder, line by line.

        That saves up to 5 % (measured: 6 MP JPEG to 800 px). Rotation, analysis of pixels and a second
        encoding need the whole image.
        """
        wish = self.job.transform
        turned = self.facts.orientation != 1 or wish.flip_v
        looked_at = self.trim is not None or self.smart or bool(wish.effects)
        looked_at = looked_at or self.format is Format.PNG  # whose row filters are chosen so
        return self.frames == 1 and not (turned or looked_at or wish.options.max_bytes)

    @property
    def smart(self) -> bool:
        """Return whether the crop is placed by attention; imagor does not do so for animations."""
        return self.plan.smart and not (self.job.encoding.imagor and self.frames > 1)

    def each_frame(self, change: Callable[[Image], Image]) -> Image:
        """Return the image with `change` applied to every frame."""
        return geometry.each_frame(self.image, self.frames, change)

    def first_frame(self) -> Image:
        """Return the first frame, which decides for all."""
        if self.frames == 1:
            return self.image
        return self.image.crop(0, 0, self.image.width, self.image.height // self.frames)

    def compute(self, image: Image) -> Image:
        """Return the image computed into memory, in place of all that the job held there until now.

        Raise `ImageTooLarge`, before a pixel is computed, if both do not fit into the job's memory.
        """
        size = vips.size_of(image)
        self.overlays.budget.take(size)
        computed = image.copy_memory()
        self.overlays.budget.keep(size)
        return computed

    def watch(self) -> None:
        """Allow computations from this image to be stopped.

        Needed again after each `copy_memory`: libvips checks the images that it computes from, and one in
        memory ends that chain. Without `set_progress`, which would drop a stop from before the start.
        """
        self.stop(self.image)


def probe(work: Work) -> None:
    """Read the header, or build one for a plain colour."""
    if work.source is None:
        wish = work.job.transform
        alpha = work.job.plain is not None and work.job.plain.alpha < 255
        work.facts = ImageHeader(Format.PNG, max(wish.width, 1), max(wish.height, 1), alpha=alpha)
    else:
        job = work.job
        work.opened = readers.open_image(
            work.source, dpi=job.transform.options.dpi, without=job.ceiling.without
        )
        if work.lenient and isinstance(work.opened, vips.Opened):
            work.opened = replace(work.opened, lenient=True)
        work.facts = work.opened.facts


def check_limits(work: Work) -> None:
    """Choose the type, and refuse what is too large for it before any pixel is decoded."""
    work.format = choose(work.job.output, work.facts)
    work.first, work.frames = planning.frames(work.job.transform, work.facts, work.format)
    if work.opened is not None:
        work.opened = work.opened.page(work.first)
        work.facts = work.opened.facts
    if work.frames == 1:
        work.facts = replace(work.facts, pages=1)
    planning.check(work.facts, work.frames, work.job.ceiling, factor=_drawn_smaller(work))


def _drawn_smaller(work: Work) -> float:
    """Factor by which a drawing is rendered smaller than its size; an image is decoded whole."""
    return _shrink(work) if TRAITS[work.facts.format].vector else 1


def _shrink(work: Work) -> float:
    encoding = work.job.encoding
    return planning.shrink(
        work.job.transform, work.facts, work.job.ceiling, exact=encoding.exact, imagor=encoding.imagor
    )


def load(work: Work) -> None:
    """Set up decoding, shrunk as far as the decoder does that for nothing."""
    if work.opened is None:
        assert work.job.plain is not None  # noqa: S101  the server sends one or the other
        work.image = vips.plain(work.job.plain, work.facts.width, work.facts.height)
        return
    work.factor = _shrink(work)
    work.image = work.opened.load(
        shrink=work.factor,
        first=work.first,
        count=work.frames,
        sequential=True,
    )
    work.watch()


def trim(work: Work) -> None:
    """Find the even border of the first frame; looks at every pixel, so it is set upright for that first.

    As line art: without that libvips takes a median of 3 x 3 pixels, which removes a thin line or a full stop
    and needs three pixels a side. imagor takes it, and does not trim animations.
    """
    wish, imagor = work.job.transform.trim, work.job.encoding.imagor
    if wish is None or (imagor and work.frames > 1):
        return
    width, height = work.facts.upright
    work.image = geometry.upright(work.compute(work.image), work.facts.orientation)
    work.watch()
    work.facts = replace(work.facts, width=width, height=height, orientation=1)
    at = (0, 0) if wish.by == "top-left" else (width - 1, height - 1)
    frame = work.first_frame()
    flat = frame.colourspace("srgb") if frame.format == "ushort" else frame
    flat = flat.flatten(background=_MAGENTA) if flat.hasalpha() else flat
    line_art = not imagor or min(width, height) < _MEDIAN
    found = flat.find_trim(threshold=max(wish.tolerance, 1), background=flat(*at), line_art=line_art)
    box = Box(*(int(side) for side in found))
    work.trim = box if box.width and box.height else None


def make_plan(work: Work) -> None:
    """Plan every size from that of the loaded image."""
    work.plan = planning.make(
        work.job.transform,
        work.facts,
        loaded=Size(work.image.width, work.image.height // work.frames),
        trim=work.trim,
        ceiling=work.job.ceiling,
        factor=work.factor,
    )
    planning.check_size(work.plan.settled, work.frames, work.job.ceiling)
    extent = _extent(work)
    if work.job.output.negotiated and work.frames == 1:
        _, final = cost.effects(work.job.transform, extent, 1, work.job.ceiling)
        affordable = tuple(each for each in work.job.output.candidates if _encodes(work, each, final))
        work.format = choose(replace(work.job.output, candidates=affordable), work.facts)
    cost.require(
        work.job.transform,
        work.facts,
        decoded=Size(work.image.width, work.image.height // work.frames),
        extent=extent,
        frames=work.frames,
        output=None if work.job.meta else work.format,
        effort=work.job.encoding.effort.get(work.format, 0),
        ceiling=work.job.ceiling,
    )


def _extent(work: Work) -> Extent:
    return Extent(*work.plan.cropped, box=work.plan.box, padding=work.job.transform.padding)


def _encodes(work: Work, format_: Format, final: Extent) -> bool:
    """Return whether encoding a result of this size takes at most half of the job's time and memory."""
    ceiling = work.job.ceiling
    seconds = cost.encoding(format_, final, 1, work.job.encoding.effort.get(format_, 0))
    return (
        seconds <= ceiling.seconds / 2 and final.pixels * TRAITS[format_].encode_bytes <= ceiling.memory / 2
    )


def extract(work: Work) -> None:
    """Crop to the region of the URL, before other steps touch the rest."""
    box = work.plan.extract
    if box is not None:
        work.image = work.each_frame(lambda frame: frame.crop(*box))


def resize(work: Work) -> None:
    """Resize with Lanczos 3; colours are premultiplied, so transparent ones do not bleed."""
    plan = work.plan
    if not work.job.encoding.imagor:
        down = plan.down._replace(
            length=plan.down.length * work.frames, target=plan.down.target * work.frames
        )
        work.image = geometry.resampled(work.image, plan.across, down)
    elif plan.scale != (1, 1):
        work.image = geometry.resized(work.image, *plan.scale)


def crop(work: Work) -> None:
    """Crop to the box, before the rest is computed."""
    box = work.plan.crop
    if box is None or work.smart:
        return
    whole = Size(work.image.width, work.image.height // work.frames)
    upright = Size(*whole[::-1]) if work.facts.sideways else whole
    place = planning.stored(planning.within(box, upright), work.facts.orientation, whole)
    work.image = work.each_frame(lambda frame: frame.crop(*place))


def compute_upright(work: Work) -> None:
    """Compute the small image and apply its orientation; a streamed one is computed by its encoder."""
    if work.streams:
        return
    work.image = geometry.upright(work.compute(work.image), work.facts.orientation)


def smart_crop(work: Work) -> None:
    """Crop to the box around what libvips finds most salient in the first frame."""
    box = work.plan.crop
    if box is None or not work.smart:
        return
    frame = work.first_frame()
    box = planning.within(box, Size(frame.width, frame.height))
    found = frame.smartcrop(box.width, box.height, interesting="attention")
    place = Box(-found.xoffset, -found.yoffset, box.width, box.height)  # libvips leaves where it cut there
    work.image = work.each_frame(lambda frame: frame.crop(*place))


def flip(work: Work) -> None:
    """Mirror horizontally and vertically."""
    if work.job.transform.flip_h:
        work.image = work.image.fliphor()
    if work.job.transform.flip_v:
        work.image = work.each_frame(lambda frame: frame.flipver())


def convert_colours(work: Work) -> None:
    """Convert colours to 8-bit sRGB, by the embedded profile; with metadata kept, the profile may stay.

    Code points (nclx) never stay: no encoder writes them. imagor ignores them.

    Done on the small image, because the cost of a profile grows with the pixels.
    """
    encoding, options = work.job.encoding, work.job.transform.options
    stays = encoding.metadata == "keep" and not (options.strip_icc or options.strip_metadata)
    nclx = None if encoding.imagor else work.facts.nclx
    profiled = work.image.get_typeof("icc-profile-data")
    lost = work.image.interpretation == "cmyk" or (nclx is not None and not profiled)
    if stays and not lost:
        work.image = colour_management.eight_bit(work.image)
    else:
        work.image = colour_management.to_srgb(work.image, nclx=nclx, black_point=not encoding.imagor)


def apply_filters(work: Work) -> None:
    """Apply the filters in the URL's order, each to sRGB.

    Between them nothing is clipped to 8 bits: one may brighten and the next darken again. Each begins with
    computed pixels: many read theirs twice or around each pixel, so a lazy chain would multiply the costs.
    """
    calls = work.job.transform.effects
    if not calls:
        return
    work.watch()
    stage = _Stage(work)
    image = work.image
    for position, call in enumerate(calls):
        declared = named(call.name)
        assert declared.apply is not None  # noqa: S101  options never come here
        if position:
            image = work.compute(image)
            work.stop(image)
        image = image if image.interpretation == "srgb" else image.colourspace("srgb")
        image = declared.apply(image, stage, *call.values)
        stage.extent = declared.resizes(stage.extent, *call.values)
    work.image = colour_management.eight_bit(image)


class _Stage:
    """Context of the filters (`filters.base.Stage`)."""

    def __init__(self, work: Work) -> None:
        self._overlays = work.overlays
        width, height = work.image.width, work.image.height // work.frames
        self.extent = _extent(work)._replace(width=width, height=height)
        self.frames = work.frames
        self.imagor = work.job.encoding.imagor

    def each_frame(self, image: Image, change: Callable[[Image], Image]) -> Image:
        return geometry.each_frame(image, self.frames, change)

    def overlay(self, key: str, *, within: tuple[int, int] | None, frames: int) -> Image:
        return self._overlays.image(key, within=within, frames=frames)

    def svg(self, text: str) -> Image:
        drawn = vips.draw_svg(text)
        self._overlays.budget.take(vips.size_of(drawn))
        return drawn.copy_memory()


def check_result_size(work: Work) -> None:
    """Refuse a result that grew too large by padding or canvas."""
    size = Size(work.image.width, work.image.height // work.frames)
    planning.check_size(size, work.frames, work.job.ceiling)


def flatten(work: Work) -> None:
    """Composite over the background where the format has no alpha, and set the height of frames."""
    if work.image.hasalpha() and not TRAITS[work.format].alpha:
        work.image = colour_management.flattened(work.image, work.job.encoding.background)
    if work.frames > 1:
        work.image = work.image.copy()
        work.image.set_type(vips.INT, "page-height", work.image.height // work.frames)


def write(work: Work) -> None:
    """Encode the result, computing what is left."""
    if not work.job.meta:
        if not work.streams:
            work.image = work.compute(work.image)
            work.watch()
        work.decode_seconds = perf_counter() - work.begun
        height = work.image.height // work.frames
        work.overlays.budget.take(int(work.image.width * height * TRAITS[work.format].encode_bytes))
        work.size = encode.write(
            work.image, work.result, work.format, work.job.transform.options, work.job.encoding
        )
    work.encode_seconds = perf_counter() - work.begun - work.decode_seconds
