"""The params of a URL, and the transform that they mean.

`Params` holds the values of any dialect under imagor's names, unchecked. `transform` checks and interprets
them, so equal params of two dialects are one `Transform`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from imgproxy.errors import BadArgument
from imgproxy.image.filters import parse_call
from imgproxy.image.gravity import HAlign, Region, VAlign
from imgproxy.image.transform import Fit, Limits, Padding, Transform, Trim, build

HIGHEST = 2**63 - 1
"""Value of a number with too many digits, as in imagor; every limit is far below."""

_LARGEST_TOLERANCE = 442  # the distance from black to white in RGB

FilterText = tuple[str, str]
"""A filter's name and its arguments, still percent-encoded."""


@dataclass(frozen=True, slots=True)
class Params:
    """The values of one URL under imagor's names; empty, zero or false is absent."""

    params: bool = False
    hash: str = ""
    unsafe: bool = False
    path: str = ""
    """The signed text: everything after `HASH/` or `unsafe/`, as received."""
    meta: bool = False
    preset: str = ""
    trim: bool = False
    trim_by: Literal["", "top-left", "bottom-right"] = ""
    trim_tolerance: int = 0
    crop_left: float = 0
    crop_top: float = 0
    crop_right: float = 0
    crop_bottom: float = 0
    fit_in: bool = False
    adaptive_fit_in: bool = False
    full_fit_in: bool = False
    stretch: bool = False
    fit_min: bool = False
    """Cover without enlarging; imagor has no such option, only the query form has."""
    width: int = 0
    height: int = 0
    h_flip: bool = False
    v_flip: bool = False
    padding_left: int = 0
    padding_top: int = 0
    padding_right: int = 0
    padding_bottom: int = 0
    h_align: Literal["", "left", "center", "right"] = ""
    v_align: Literal["", "top", "middle", "bottom"] = ""
    smart: bool = False
    filters: tuple[FilterText, ...] = ()
    ignored: str = ""
    """Text between filters that belongs to none; imagor drops it, `transform` refuses it."""
    base64_image: bool = False
    image: str = ""

    @property
    def options(self) -> Params:
        """The params of the image alone, without name, signature and kind of response."""
        return replace(
            self, params=False, hash="", unsafe=False, path="", meta=False, base64_image=False, image=""
        )

    @property
    def named(self) -> Params:
        """The other params: name, signature and kind of response."""
        return Params(
            params=self.params,
            hash=self.hash,
            unsafe=self.unsafe,
            path=self.path,
            meta=self.meta,
            base64_image=self.base64_image,
            image=self.image,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the body of `/params`: imagor's names, present values alone, whole numbers without a dot."""
        present = {name: value for name in _JSON_NAMES if (value := getattr(self, name))}
        shown = {
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in present.items()
        }
        if self.filters:
            shown["filters"] = [{"name": name, "args": arguments} for name, arguments in self.filters]
        return shown


_JSON_NAMES = tuple(each.name for each in fields(Params) if each.name != "ignored")

_GROUPS = (
    ("trim", "trim_by", "trim_tolerance"),
    ("crop_left", "crop_top", "crop_right", "crop_bottom"),
    ("fit_in", "adaptive_fit_in", "full_fit_in", "stretch", "fit_min"),
    ("width",),
    ("height",),
    ("h_flip",),
    ("v_flip",),
    ("padding_left", "padding_top", "padding_right", "padding_bottom"),
    ("h_align",),
    ("v_align",),
)
"""Params that are overridden together."""


def merge(base: Params, over: Params) -> Params:
    """Override `base` by what is present in `over`; the filters of `base` come first."""
    kept = {
        name: getattr(base, name)
        for group in _GROUPS
        if not any(getattr(over, name) for name in group)
        for name in group
    }
    aligned = over.h_align or over.v_align  # an explicit alignment overrides a smart base
    return replace(
        over,
        **kept,
        smart=over.smart or (base.smart and not aligned),
        filters=base.filters + over.filters,
    )


def transform(params: Params, *, presets: Mapping[str, Params], limits: Limits) -> Transform:
    """Return the transform that the params mean; raise `BadArgument` for an invalid value."""
    params = _with_presets(params, presets, limits)
    if params.ignored:
        raise BadArgument(
            f"filters: name(arguments) is expected, '{params.ignored[:64]}' belongs to no filter"
        )
    requested = Transform(
        trim=_trim(params),
        crop=_crop(params),
        fit=_fit(params),
        adaptive=params.adaptive_fit_in,
        width=params.width,
        height=params.height,
        halign=HAlign(params.h_align or HAlign.CENTER),
        valign=VAlign(params.v_align or VAlign.MIDDLE),
        smart=params.smart,
        flip_h=params.h_flip,
        flip_v=params.v_flip,
        padding=Padding(params.padding_left, params.padding_top, params.padding_right, params.padding_bottom),
    )
    calls = [parse_call(name, arguments) for name, arguments in params.filters]
    return build(requested, calls, fit_in=params.fit_in, limits=limits)


def _with_presets(params: Params, presets: Mapping[str, Params], limits: Limits) -> Params:
    """Merge the params over the presets that they name, the last one uppermost."""
    named = [arguments for name, arguments in params.filters if name == "preset"]
    if params.preset:
        named.insert(0, params.preset)
    if not named:
        return params
    if len(named) > limits.max_presets:
        raise BadArgument(f"preset: at most {limits.max_presets} are allowed, {len(named)} given")
    base = Params()
    for name in named:
        if name not in presets:
            there = ", ".join(presets) or "none"
            raise BadArgument(f"preset: '{name[:64]}' is not a preset; there are {there}")
        base = merge(base, presets[name])
    own = tuple(each for each in params.filters if each[0] != "preset")
    return merge(base, replace(params, filters=own))


def _trim(params: Params) -> Trim | None:
    if not params.trim:
        return None
    if params.trim_tolerance > _LARGEST_TOLERANCE:
        raise BadArgument(
            f"trim: a tolerance of at most {_LARGEST_TOLERANCE} is expected, not {params.trim_tolerance}"
        )
    return Trim(params.trim_by or "top-left", params.trim_tolerance)


def _crop(params: Params) -> Region | None:
    sides = params.crop_left, params.crop_top, params.crop_right, params.crop_bottom
    return Region(*sides) if any(sides) else None


def _fit(params: Params) -> Fit:
    """`fit-in` wins over `stretch`, as in imagor."""
    if params.fit_min:
        return Fit.MIN
    if params.full_fit_in:
        return Fit.OUTSIDE
    if params.fit_in:
        return Fit.INSIDE
    return Fit.STRETCH if params.stretch else Fit.COVER
