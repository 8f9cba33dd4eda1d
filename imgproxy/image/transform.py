"""The requested transform of an image, in one normal form.

`build` drops defaults, multiplies `dpr` out, and removes options without an effect (an alignment where
nothing is cropped, a blur of radius 0). Filters become options or effects. Two transforms of the same result
are equal, and `canonical` is their name in every cache key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Literal, NamedTuple

from imgproxy.errors import BadArgument
from imgproxy.image.filters import named
from imgproxy.image.filters.arguments import number_text
from imgproxy.image.filters.base import FilterCall
from imgproxy.image.gravity import HAlign, Region, VAlign
from imgproxy.image.options import Options


class Fit(StrEnum):
    """The way in which an image is fitted into the requested box."""

    COVER = "cover"
    """Fill the box and crop the rest."""
    INSIDE = "fit-in"
    """As large as fits into the box; nothing is cropped."""
    OUTSIDE = "full-fit-in"
    """As small as covers the box; nothing is cropped."""
    STRETCH = "stretch"
    """Exactly the box; proportions change."""
    MIN = "min"
    """Cover without enlarging: a box too large for the image is made smaller, its proportions kept."""


class Padding(NamedTuple):
    """Pixels on each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


NO_PADDING = Padding()


@dataclass(frozen=True, slots=True)
class Trim:
    """Removal of an even border of the colour at one corner, within `tolerance`."""

    by: Literal["top-left", "bottom-right"] = "top-left"
    tolerance: int = 0


@dataclass(frozen=True, slots=True)
class Transform:
    """A requested image; sizes are device pixels, 0 is free. Field order is order of effect."""

    trim: Trim | None = None
    crop: Region | None = None
    fit: Fit = Fit.COVER
    adaptive: bool = False
    upscale: bool = True
    width: int = 0
    height: int = 0
    halign: HAlign = HAlign.CENTER
    valign: VAlign = VAlign.MIDDLE
    smart: bool = False
    flip_h: bool = False
    flip_v: bool = False
    padding: Padding = NO_PADDING
    effects: tuple[FilterCall, ...] = ()
    options: Options = field(default_factory=Options)

    @property
    def cropping(self) -> bool:
        """Whether filling the box may cut something off."""
        return self.fit in (Fit.COVER, Fit.MIN) and self.width > 0 and self.height > 0

    @property
    def keys(self) -> tuple[str, ...]:
        """Unchecked keys of the other objects that the image needs, in order of first use."""
        return tuple(
            dict.fromkeys(key for call in self.effects for key in named(call.name).keys(*call.values))
        )

    def canonical(self) -> str:
        """Return the transform's name in cache keys: equal images have equal names."""
        parts = [
            f"{each.name}={_text(value)}"
            for each in fields(self)
            if each.name not in ("effects", "options") and (value := getattr(self, each.name)) != each.default
        ]
        parts.extend(filter(None, (self.options.canonical(),)))
        parts.extend(_call_text(call) for call in self.effects)
        return ";".join(parts)


def _text(value: object) -> str:
    if isinstance(value, Trim):
        return f"{value.by},{value.tolerance}"
    if isinstance(value, Region):
        return ",".join(number_text(side) for side in (value.left, value.top, value.right, value.bottom))
    if isinstance(value, tuple):
        return ",".join(str(side) for side in value)
    return str(value)


def _call_text(call: FilterCall) -> str:
    declared = named(call.name).arguments
    values = (
        "" if value is None else argument.text(value) if not isinstance(value, str) else repr(value)
        for argument, value in zip(declared, call.values, strict=True)
    )
    return f"{call.name}({','.join(values)})"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request."""

    max_side: int = 8192
    """Pixels of each side of the result."""
    max_filters: int = 20
    max_presets: int = 3
    """Presets in one URL."""


def build(requested: Transform, calls: Sequence[FilterCall], *, fit_in: bool, limits: Limits) -> Transform:
    """Return a parsed transform with its filters in normal form; raise `BadArgument` above the limits.

    `fit_in` is whether the URL has a kind of `fit-in`, which enlarges only with `upscale()`.
    """
    if len(calls) > limits.max_filters:
        raise BadArgument(f"filters: at most {limits.max_filters} are allowed, {len(calls)} given")
    options = Options()
    effects = []
    for call in calls:
        declared = named(call.name)
        if declared.set is not None:
            options = declared.set(options, *call.values)
        elif not declared.idle(*call.values):
            effects.append(call)
    return _normal(replace(requested, effects=tuple(effects), options=options), fit_in, limits)


def _normal(requested: Transform, fit_in: bool, limits: Limits) -> Transform:
    dpr = requested.options.dpr
    sized = replace(
        requested,
        width=_side("width", requested.width, dpr, limits),
        height=_side("height", requested.height, dpr, limits),
        padding=Padding(*(_side("padding", side, dpr, limits) for side in requested.padding)),
        effects=tuple(_scaled(call, dpr) for call in requested.effects),
        upscale=_upscale(requested, fit_in),
        options=replace(requested.options, dpr=1, upscale=None),
    )
    return _without_ineffective(sized)


def _upscale(requested: Transform, fit_in: bool) -> bool:
    if requested.options.upscale is not None:
        return requested.options.upscale
    return not fit_in or requested.fit is Fit.OUTSIDE


def _side(what: str, length: int, dpr: float, limits: Limits) -> int:
    side = max(1, round(length * dpr)) if length else 0
    if side > limits.max_side:
        raise BadArgument(f"{what}: {side} pixels are asked for, at most {limits.max_side} are allowed")
    return side


def _scaled(call: FilterCall, dpr: float) -> FilterCall:
    if dpr == 1:
        return call
    values = (
        value if value is None or isinstance(value, str) else argument.scaled(value, dpr)
        for argument, value in zip(named(call.name).arguments, call.values, strict=True)
    )
    return FilterCall(call.name, tuple(values))


def _without_ineffective(requested: Transform) -> Transform:
    """Remove options that have no effect on this image."""
    if requested.width == requested.height == 0:
        requested = replace(requested, fit=Fit.COVER, adaptive=False, upscale=True)
    if requested.fit is Fit.MIN:  # never enlarges; a side alone has no proportions to keep
        one_side = 0 in (requested.width, requested.height)
        requested = replace(
            requested, fit=Fit.COVER if one_side else Fit.MIN, adaptive=False, upscale=not one_side
        )
    if requested.crop == Region(0, 0, 0, 0):
        requested = replace(requested, crop=None)
    if not any(call.name == "fill" for call in requested.effects):
        requested = replace(requested, padding=NO_PADDING)
    if not requested.cropping:
        return replace(
            requested,
            smart=False,
            halign=HAlign.CENTER,
            valign=VAlign.MIDDLE,
            options=replace(requested.options, focal=()),
        )
    if requested.options.focal:
        return replace(requested, smart=False, halign=HAlign.CENTER, valign=VAlign.MIDDLE)
    if requested.smart:
        return replace(requested, halign=HAlign.CENTER, valign=VAlign.MIDDLE)
    return requested
