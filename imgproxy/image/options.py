"""Options of loading, encoding and the response, each set by a filter."""

from __future__ import annotations

from dataclasses import dataclass, fields

from imgproxy.image.formats import Format
from imgproxy.image.gravity import Region

DELIVERY = frozenset({"max_age", "expire", "attachment"})
"""Options of the response's headers alone: they are in no cache key."""

_FOLDED = DELIVERY | {"dpr", "upscale"}  # `dpr` and `upscale` end in the transform's own fields


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one request, each set by the filter of its name; the last one in the URL wins."""

    format: Format | None = None
    quality: int | None = None
    max_bytes: int | None = None
    dpr: float = 1
    upscale: bool | None = None
    focal: tuple[Region, ...] = ()
    page: int = 1
    dpi: float = 72
    """Pixels per inch of a page that is measured in points."""
    max_frames: int | None = None
    strip_exif: bool = False
    strip_icc: bool = False
    strip_metadata: bool = False
    max_age: int | None = None
    expire: int | None = None
    """Milliseconds since 1970, as imagor has it."""
    attachment: str | None = None
    """A file name to download as; empty means the server's own choice."""

    def canonical(self) -> str:
        """Return the options that change the image, in one order."""
        parts = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _FOLDED or value == field.default:
                continue
            text = "+".join(_region(each) for each in value) if field.name == "focal" else str(value)
            parts.append(f"{field.name}({text})")
        return ":".join(parts)


def _region(region: Region) -> str:
    return f"{region.left:.15g}x{region.top:.15g}:{region.right:.15g}x{region.bottom:.15g}"
