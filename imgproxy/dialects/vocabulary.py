"""The parameters of the query form: one row each, in the order in which they take effect.

A row says how its value becomes words of `Params` and how those become the value again. To add a parameter:
a line in `PARAMETERS`. Names are those of the field; where peers differ the path's meaning is kept, so that
`rotate` turns counter-clockwise and `upscale` decides what may be enlarged.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from imgproxy.dialects import thumbor
from imgproxy.dialects.parameter import (
    OFF,
    ON,
    Parameter,
    Said,
    Words,
    argument_text,
    filtered,
    length,
    numbers,
    switch,
    text,
)
from imgproxy.dialects.params import FilterText, Params

_CROP = ("crop_left", "crop_top", "crop_right", "crop_bottom")
_TRIM = ("trim", "trim_by", "trim_tolerance")
_FITS: dict[str, Words] = {
    "cover": {},
    "contain": {"fit_in": True},
    "inside": {"fit_in": True},
    "scale-down": {"fit_in": True},
    "pad": {"fit_in": True},
    "outside": {"fit_in": True, "full_fit_in": True},
    "fill": {"stretch": True},
    "stretch": {"stretch": True},
}
"""`contain` and `inside` enlarge, as in CSS; `scale-down` and `pad` do not, as `fit-in` does not."""

_SIDES: dict[str, Words] = {
    **{word: {"h_align": word} for word in ("left", "center", "right")},
    **{word: {"v_align": word} for word in ("top", "middle", "bottom")},
    "smart": {"smart": True},
}


def _read_fit(value: str, said: Said) -> Words:
    if value not in _FITS:
        raise ValueError
    enlarged: tuple[FilterText, ...] = (("upscale", ""),)
    if value in ("contain", "inside") and "upscale" not in said:
        return {**_FITS[value], "filters": enlarged}
    return _FITS[value]


def _write_fit(params: Params) -> str | None:
    if params.full_fit_in:
        return "outside"
    if params.fit_in:
        return "scale-down" if argument_text(params, "fill") is None else "pad"
    return "stretch" if params.stretch else None


def _read_gravity(value: str, _said: Said) -> Words:
    words: Words = {}
    for word in re.split("[-, ]", value):
        side = _SIDES.get(word)
        if side is None or side.keys() & words.keys():
            raise ValueError
        words |= side
    return words


def _write_gravity(params: Params) -> str | None:
    return "-".join(filter(None, (params.h_align, params.v_align))) or None


def _read_smart(value: str, _said: Said) -> Words:
    if value not in ON + OFF:
        raise ValueError
    return {"smart": True} if value in ON else {}


def _segment(segment: str, names: tuple[str, ...]) -> Words:
    """Read a value that is written as in the path, by the path's own grammar."""
    parsed = thumbor.parse(segment)
    words = {name: getattr(parsed, name) for name in names}
    if parsed != Params(path=segment, **words):
        raise ValueError
    return words


def _read_crop(value: str, _said: Said) -> Words:
    return _segment(f"{value}/", _CROP)


def _read_trim(value: str, _said: Said) -> Words:
    return _segment("trim/" if value in ("", "true") else f"trim:{value}/", _TRIM)


def _segment_text(params: Params, names: tuple[str, ...]) -> str | None:
    words = {name: getattr(params, name) for name in names}
    return thumbor.generate(Params(**words)).rstrip("/") or None


def _write_trim(params: Params) -> str | None:
    segment = _segment_text(params, _TRIM)
    return None if segment is None else segment.removeprefix("trim").removeprefix(":")


def _read_flip(value: str, _said: Said) -> Words:
    if value not in ("h", "v", "hv", "vh"):
        raise ValueError
    return {"h_flip": "h" in value, "v_flip": "v" in value}


def _write_flip(params: Params) -> str | None:
    return ("h" if params.h_flip else "") + ("v" if params.v_flip else "") or None


def _colour(value: str) -> str:
    return quote(value.removeprefix("#"), safe="")


def _read_background(value: str, said: Said) -> Words:
    """The colour of what is empty: the box of `fit=pad`, the border of `pad`, else what is see-through."""
    if said.get("fit") == "pad":
        return filtered("fill", _colour(value))
    return {} if "pad" in said else filtered("background_color", _colour(value))


def _write_background(params: Params) -> str | None:
    border = argument_text(params, "padding")
    colour = None if border is None else border.partition(",")[0]
    for name in ("fill", "background_color"):
        colour = argument_text(params, name) if colour is None else colour
    return None if colour is None else unquote(colour)


def _read_padding(value: str, said: Said) -> Words:
    sides = value.split(",")
    if len(sides) not in (1, 2, 4):
        raise ValueError
    return filtered("padding", f"{_colour(said['bg'])},{value}")


def _write_padding(params: Params) -> str | None:
    border = argument_text(params, "padding")
    return None if border is None else border.partition(",")[2]


def _read_strip(value: str, _said: Said) -> Words:
    named = {"all": "strip_metadata", "exif": "strip_exif", "icc": "strip_icc"}
    chosen = named.get("all" if value in ON else value)
    if chosen is None and value not in OFF:
        raise ValueError
    return {} if chosen is None else filtered(chosen, "")


def _write_strip(params: Params) -> str | None:
    kinds = ("metadata", "exif", "icc")
    found = next((kind for kind in kinds if (f"strip_{kind}", "") in params.filters), None)
    return "all" if found == "metadata" else found


def _read_format(value: str, _said: Said) -> Words:
    return {} if value == "auto" else filtered("format", value)


PARAMETERS = (
    Parameter(
        "preset",
        "the name of a preset",
        lambda value, _said: {"preset": value},
        lambda params: params.preset or None,
    ),
    Parameter("trim", "a tolerance, a corner or corner:tolerance", _read_trim, _write_trim),
    Parameter("crop", "LxT:RxB", _read_crop, lambda params: _segment_text(params, _CROP)),
    Parameter("fit", f"one of {', '.join(_FITS)}", _read_fit, _write_fit),
    switch("upscale", "upscale", "no_upscale"),
    length("w", "width", "width"),
    length("h", "height", "height"),
    Parameter(
        "gravity",
        f"smart, or {', '.join(_SIDES)} for one side or two with a '-' between",
        _read_gravity,
        _write_gravity,
        "position",
    ),
    Parameter("smart", "1 or 0", _read_smart, lambda params: "1" if params.smart else None),
    Parameter("flip", "h, v or hv", _read_flip, _write_flip),
    numbers("dpr"),
    numbers("focal"),
    numbers("page"),
    numbers("frames", "max_frames"),
    numbers("brightness"),
    numbers("contrast"),
    numbers("saturation"),
    numbers("hue"),
    numbers("rgb"),
    switch("grayscale", "grayscale"),
    numbers("blur"),
    numbers("sharpen"),
    numbers("rotate"),
    numbers("proportion"),
    Parameter("bg", "a colour", _read_background, _write_background, "background"),
    Parameter("pad", "pixels: all sides, h,v or left,top,right,bottom", _read_padding, _write_padding),
    numbers("round", "round_corner"),
    text("watermark", "watermark", safe=",/:"),
    Parameter(
        "format", "a format, or auto", _read_format, lambda params: argument_text(params, "format"), "f"
    ),
    numbers("q", "quality", alias="quality"),
    numbers("max_bytes"),
    Parameter("strip", "all, exif, icc or 0", _read_strip, _write_strip),
    text("download", "attachment", bare=ON),
    numbers("max_age"),
    numbers("expire"),
)

BY_NAME = {name: each for each in PARAMETERS for name in (each.name, each.alias) if name}
