"""Messages between the server process and a worker, and their encoding.

A job goes over as pickle: the worker trusts the server. An answer comes back as JSON and is checked field
by field: a worker has touched hostile bytes and is trusted with nothing. Images cross as descriptors only:
first the result's, then the source image's and the overlays', in the order of `Job.overlays`.
"""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from imgproxy import errors
from imgproxy.image.colour import WHITE, Colour
from imgproxy.image.formats import Format
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Ceiling
from imgproxy.image.transform import Transform

MESSAGE_BYTES = 65_536
"""The longest message either way; a job with 20 filters has about 2,000 bytes."""

_LARGEST_COUNT = 2**40
"""Of bytes or pixels, in an answer: more than any file has."""

Keep = Literal["strip", "copyright", "keep"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """Encoder defaults of the deployment; part of every result's key."""

    quality: dict[Format, int] = field(
        default_factory=lambda: {Format.JPEG: 80, Format.WEBP: 80, Format.AVIF: 63}
    )
    effort: dict[Format, int] = field(default_factory=lambda: {Format.WEBP: 4, Format.AVIF: 0})
    metadata: Keep = "strip"
    exact: bool = False
    """Shrink-on-load keeps a factor of two for the resize, as vips_thumbnail does."""
    background: Colour = WHITE
    """Behind transparent parts, in a format without alpha."""
    imagor: bool = False
    """Do to the pixel as imagor does where it differs (`IMGPROXY_COMPAT`)."""


@dataclass(frozen=True, slots=True)
class Job:
    """One image to make, or to describe."""

    transform: Transform
    output: Output
    encoding: Encoding
    ceiling: Ceiling
    plain: Colour | None = None
    """The source image is this colour and no descriptor of one is sent."""
    overlays: tuple[str, ...] = ()
    """The names of further images, whose descriptors follow the source image's."""
    meta: bool = False
    """Describe the result instead of writing it."""
    strip: bool = False
    """Write the source image without its personal metadata instead; nothing is decoded."""
    show_damaged: bool = False
    """Show the part of a damaged source that decodes, instead of failing."""
    seconds: float = 15
    """The worker's own deadline, from when it begins."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Answer to a finished job; the bytes are in the result's descriptor."""

    format: Format
    width: int
    height: int
    pages: int
    size: int
    """Bytes of the result."""
    decode_seconds: float
    """Until the encoder begins."""
    encode_seconds: float
    """Until the last byte; a streamed image is decoded within this time."""
    info: dict[str, Any] = field(default_factory=dict)
    """For `Job.meta`: the facts, in imagor's names."""
    damaged: bool = False
    """Whether a part of the source image did not decode; only with `Job.show_damaged`."""


@dataclass(frozen=True, slots=True)
class Ready:
    """First message of a worker, once it is sandboxed and warm."""

    libvips: str
    locks: tuple[str, ...]
    """Which of `landlock`, `seccomp`, `rlimits`, `no-new-privileges` hold."""
    formats: tuple[str, ...]
    """Types that can be read, as `TRAITS` names them, then those that can be written."""


def dump_job(job: Job) -> bytes:
    """Write a job for a worker."""
    return pickle.dumps(job, pickle.HIGHEST_PROTOCOL)


def load_job(data: bytes) -> Job:
    """Read a job, in the worker, from the server it trusts."""
    job = pickle.loads(data)  # noqa: S301  only the server writes to this socket
    assert isinstance(job, Job)  # noqa: S101
    return job


def dump_answer(answer: Rendered | Ready | errors.ImgproxyError) -> bytes:
    """Write a worker's answer."""
    if isinstance(answer, errors.ImgproxyError):
        return json.dumps({"error": type(answer).__name__, "message": str(answer)[:1000]}).encode()
    return json.dumps({type(answer).__name__.lower(): asdict(answer)}).encode()


_ERRORS: dict[str, type[errors.ImgproxyError]] = {
    each.__name__: each
    for each in (
        errors.BadArgument,
        errors.UnsupportedImage,
        errors.BrokenImage,
        errors.TransformFailed,
        errors.ImageTooLarge,
        errors.DeadlinePassed,
        errors.EngineFailed,
    )
}
"""All that a worker may report."""


def load_answer(data: bytes) -> Rendered | Ready | errors.ImgproxyError:
    """Read what a worker wrote; raise `EngineFailed` for anything a sound worker would not write."""
    try:
        answer = json.loads(data)
        if "error" in answer:
            return _ERRORS[answer["error"]](_text(answer["message"]))
        if "ready" in answer:
            ready = answer["ready"]
            return Ready(_text(ready["libvips"]), _texts(ready["locks"]), _texts(ready["formats"]))
        return _rendered(answer["rendered"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise errors.EngineFailed("the image could not be made") from error


def _rendered(fields: dict[str, Any]) -> Rendered:
    return Rendered(
        Format(fields["format"]),
        _count(fields["width"]),
        _count(fields["height"]),
        _count(fields["pages"]),
        _count(fields["size"]),
        _seconds(fields["decode_seconds"]),
        _seconds(fields["encode_seconds"]),
        dict(fields["info"]),
        _flag(fields["damaged"]),
    )


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not a flag")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST_COUNT:
        raise ValueError("not a count")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value < math.inf:  # what is not a number fails, too
        raise ValueError("not a duration")
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return _printable(value)


def _texts(values: list[object]) -> tuple[str, ...]:
    return tuple(_text(value) for value in values)


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:1000]
