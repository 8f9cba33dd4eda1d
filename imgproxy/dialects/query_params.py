"""The query params: one row each, in the order in which they take effect.

A row turns its value into fields of `Params`, and back. To add a param: a line in `QUERY_PARAMS`. Names are
the usual ones of image services; where those differ the path's meaning is kept, so `rotate` turns
counter-clockwise. Three params differ from the path: nothing is enlarged without `upscale`, `sharpen` is a
scale from 0 to 10, and `fit=min` has no path form.
"""

from __future__ import annotations

import re
from decimal import Decimal
from urllib.parse import quote, unquote

from imgproxy.dialects import thumbor
from imgproxy.dialects.param_types import (
    OFF,
    ON,
    ParamFields,
    QueryParam,
    QueryValues,
    argument_text,
    filtered,
    length,
    numbers,
    switch,
    text,
)
from imgproxy.dialects.request import Params

_CROP = ("crop_left", "crop_top", "crop_right", "crop_bottom")
_TRIM = ("trim", "trim_by", "trim_tolerance")
_SHARPEN = re.compile(r"[0-9]{1,2}(\.[0-9]{1,3})?")
_AMOUNT = re.compile(r"-?[0-9]{1,2}(\.[0-9]{1,4})?")
_SHARPEST = 10  # the largest sigma of libvips; beyond it the filter falls back to the weak default
_FITS: dict[str, ParamFields] = {
    "cover": {},
    "contain": {"fit_in": True},
    "inside": {"fit_in": True},
    "scale-down": {"fit_in": True},
    "pad": {"fit_in": True},
    "outside": {"fit_in": True, "full_fit_in": True},
    "fill": {"stretch": True},
    "stretch": {"stretch": True},
    "min": {"fit_min": True},
}
"""None of them enlarges without `upscale=1`, so `contain`, `inside` and `scale-down` are the same."""

_SIDES: dict[str, ParamFields] = {
    **{part: {"h_align": part} for part in ("left", "center", "right")},
    **{part: {"v_align": part} for part in ("top", "middle", "bottom")},
    "smart": {"smart": True},
}


def _read_fit(value: str, _values: QueryValues) -> ParamFields:
    if value not in _FITS:
        raise ValueError
    return _FITS[value]


def _write_fit(params: Params) -> str | None:
    if params.fit_min:
        return "min"
    if params.full_fit_in:
        return "outside"
    if params.fit_in:
        return "scale-down" if argument_text(params, "fill") is None else "pad"
    return "stretch" if params.stretch else None


def _path_enlarges(fields: ParamFields) -> bool:
    """Return whether the path form enlarges with this fit unless a filter forbids it."""
    return not fields.get("fit_in") or fields.get("full_fit_in", False)


def _read_upscale(value: str, values: QueryValues) -> ParamFields:
    """Enlarge only on request; a filter is added where the path form's default differs.

    With a preset the fit may be the preset's, so the filter is always added.
    """
    if value not in ON + OFF:
        raise ValueError
    chosen = "upscale" if value in ON else "no_upscale"
    if "preset" not in values:
        sized = any(values.get(side, "").strip("0") for side in ("w", "h"))
        fit = _FITS[values.get("fit", "cover")]
        if not sized or "fit_min" in fit or _path_enlarges(fit) == (value in ON):
            return {}
    return {"filters": ((chosen, ""),)}


def _write_upscale(params: Params) -> str | None:
    on = ("upscale", "") in params.filters
    off = ("no_upscale", "") in params.filters
    sized = params.width > 0 or params.height > 0
    if params.preset or not sized:
        return "1" if on else "0" if off else None
    if params.fit_min:
        return None
    enlarges = _path_enlarges({"fit_in": params.fit_in, "full_fit_in": params.full_fit_in})
    return "1" if on or (enlarges and not off) else None


def _read_gravity(value: str, _values: QueryValues) -> ParamFields:
    fields: ParamFields = {}
    for part in re.split("[-, ]", value):
        side = _SIDES.get(part)
        if side is None or side.keys() & fields.keys():
            raise ValueError
        fields |= side
    return fields


def _write_gravity(params: Params) -> str | None:
    return "-".join(filter(None, (params.h_align, params.v_align))) or None


def _read_smart(value: str, _values: QueryValues) -> ParamFields:
    if value not in ON + OFF:
        raise ValueError
    return {"smart": True} if value in ON else {}


def _segment(segment: str, names: tuple[str, ...]) -> ParamFields:
    """Parse a value that is written as in the path, by the path's grammar."""
    parsed = thumbor.parse(segment)
    fields = {name: getattr(parsed, name) for name in names}
    if parsed != Params(path=segment, **fields):
        raise ValueError
    return fields


def _read_crop(value: str, _values: QueryValues) -> ParamFields:
    return _segment(f"{value}/", _CROP)


def _read_trim(value: str, _values: QueryValues) -> ParamFields:
    return _segment("trim/" if value in ("", "true") else f"trim:{value}/", _TRIM)


def _segment_text(params: Params, names: tuple[str, ...]) -> str | None:
    fields = {name: getattr(params, name) for name in names}
    return thumbor.generate(Params(**fields)).rstrip("/") or None


def _write_trim(params: Params) -> str | None:
    segment = _segment_text(params, _TRIM)
    return None if segment is None else segment.removeprefix("trim").removeprefix(":")


def _read_flip(value: str, _values: QueryValues) -> ParamFields:
    if value not in ("h", "v", "hv", "vh"):
        raise ValueError
    return {"h_flip": "h" in value, "v_flip": "v" in value}


def _write_flip(params: Params) -> str | None:
    return ("h" if params.h_flip else "") + ("v" if params.v_flip else "") or None


def _colour(value: str) -> str:
    return quote(value.removeprefix("#"), safe="")


def _read_background(value: str, values: QueryValues) -> ParamFields:
    """Colour the empty area: the box of `fit=pad`, the border of `pad`, else transparent pixels."""
    if values.get("fit") == "pad":
        return filtered("fill", _colour(value))
    if "pad" in values:
        return {}
    behind = filtered("background_color", _colour(value))
    return {} if "round" in values else behind  # behind the rounded corners too: `_read_round` adds it


def _read_round(value: str, values: QueryValues) -> ParamFields:
    fields = filtered("round_corner", value)
    if "bg" in values and "pad" not in values and values.get("fit") != "pad":
        fields["filters"] += filtered("background_color", _colour(values["bg"]))["filters"]
    return fields


def _read_sharpen(value: str, _values: QueryValues) -> ParamFields:
    """Convert a scale from 0 (none) to 10, the mask's sigma, to the filter's (sigma - 1) / 2."""
    if not _SHARPEN.fullmatch(value) or (sigma := Decimal(value)) > _SHARPEST:
        raise ValueError
    return filtered("sharpen", format(((sigma - 1) / 2).normalize(), "f")) if sigma else {}


def _write_sharpen(params: Params) -> str | None:
    amount = argument_text(params, "sharpen")
    if amount is None or not _AMOUNT.fullmatch(amount):
        return None
    return format((Decimal(amount) * 2 + 1).normalize(), "f")


def _write_background(params: Params) -> str | None:
    border = argument_text(params, "padding")
    colour = None if border is None else border.partition(",")[0]
    for name in ("fill", "background_color"):
        colour = argument_text(params, name) if colour is None else colour
    return None if colour is None else unquote(colour)


def _read_padding(value: str, values: QueryValues) -> ParamFields:
    sides = value.split(",")
    if len(sides) not in (1, 2, 4):
        raise ValueError
    return filtered("padding", f"{_colour(values['bg'])},{value}")


def _write_padding(params: Params) -> str | None:
    border = argument_text(params, "padding")
    return None if border is None else border.partition(",")[2]


def _read_strip(value: str, _values: QueryValues) -> ParamFields:
    named = {"all": "strip_metadata", "exif": "strip_exif", "icc": "strip_icc"}
    chosen = named.get("all" if value in ON else value)
    if chosen is None and value not in OFF:
        raise ValueError
    return {} if chosen is None else filtered(chosen, "")


def _write_strip(params: Params) -> str | None:
    kinds = ("metadata", "exif", "icc")
    found = next((kind for kind in kinds if (f"strip_{kind}", "") in params.filters), None)
    return "all" if found == "metadata" else found


def _read_format(value: str, _values: QueryValues) -> ParamFields:
    return {} if value == "auto" else filtered("format", value)


QUERY_PARAMS = (
    QueryParam(
        "preset",
        "the name of a preset",
        lambda value, _values: {"preset": value},
        lambda params: params.preset or None,
    ),
    QueryParam("trim", "a tolerance, a corner or corner:tolerance", _read_trim, _write_trim),
    QueryParam("crop", "LxT:RxB", _read_crop, lambda params: _segment_text(params, _CROP)),
    QueryParam("fit", f"one of {', '.join(_FITS)}", _read_fit, _write_fit),
    QueryParam("upscale", "1 or 0", _read_upscale, _write_upscale),
    length("w", "width", "width"),
    length("h", "height", "height"),
    QueryParam(
        "gravity",
        f"smart, or {', '.join(_SIDES)} for one side or two with a '-' between",
        _read_gravity,
        _write_gravity,
        "position",
    ),
    QueryParam("smart", "1 or 0", _read_smart, lambda params: "1" if params.smart else None),
    QueryParam("flip", "h, v or hv", _read_flip, _write_flip),
    numbers("dpr"),
    numbers("focal"),
    numbers("page"),
    numbers("dpi"),
    numbers("frames", "max_frames"),
    numbers("brightness"),
    numbers("contrast"),
    numbers("saturation"),
    numbers("hue"),
    numbers("rgb"),
    switch("grayscale", "grayscale"),
    numbers("blur"),
    QueryParam("sharpen", "a number from 0 to 10", _read_sharpen, _write_sharpen),
    numbers("rotate"),
    numbers("proportion"),
    QueryParam("bg", "a colour", _read_background, _write_background, "background"),
    QueryParam("pad", "pixels: all sides, h,v or left,top,right,bottom", _read_padding, _write_padding),
    QueryParam(
        "round",
        "what filters:round_corner(…) takes",
        _read_round,
        lambda params: argument_text(params, "round_corner"),
    ),
    text("watermark", "watermark", safe=",/:"),
    QueryParam(
        "format", "a format, or auto", _read_format, lambda params: argument_text(params, "format"), "f"
    ),
    numbers("q", "quality", alias="quality"),
    numbers("max_bytes"),
    QueryParam("strip", "all, exif, icc or 0", _read_strip, _write_strip),
    text("download", "attachment", bare=ON),
    numbers("max_age"),
    numbers("expire"),
)

BY_NAME = {name: each for each in QUERY_PARAMS for name in (each.name, each.alias) if name}
