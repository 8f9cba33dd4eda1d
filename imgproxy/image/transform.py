"""What is asked of an image, in one normal form.

`build` turns words into a `Transform`: defaults are dropped, `dpr` is multiplied out, what cannot have an
effect (an alignment where nothing is cropped, a blur of nothing) is left away, filters become options or
effects. Two transforms that give the same picture are equal, and `canonical` is their name in every key.
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
    """How a picture meets the box that was asked for."""

    COVER = "cover"
    """Fill the box and crop what hangs over."""
    INSIDE = "fit-in"
    """As large as fits into the box; nothing is cropped."""
    OUTSIDE = "full-fit-in"
    """As small as covers the box; nothing is cropped."""
    STRETCH = "stretch"
    """Exactly the box, whatever becomes of the proportions."""
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
    """Cut away an even border, of the colour at one corner give or take `tolerance`."""

    by: Literal["top-left", "bottom-right"] = "top-left"
    tolerance: int = 0


@dataclass(frozen=True, slots=True)
class Transform:
    """The picture that is asked for; sizes are device pixels, 0 is free. Field order is order of effect."""

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
        """The other objects that this picture needs, unchecked, in order of first use."""
        return tuple(
            dict.fromkeys(key for call in self.effects for key in named(call.name).keys(*call.values))
        )

    def canonical(self) -> str:
        """The transform's one name: equal pictures have equal texts."""
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
    """How much may be asked for."""

    max_side: int = 8192
    """Pixels, for each side of what is answered."""
    max_filters: int = 20
    max_presets: int = 3
    """Names of presets in one URL."""


def build(wish: Transform, calls: Sequence[FilterCall], *, fit_in: bool, limits: Limits) -> Transform:
    """Bring a wish, as a dialect read it, and its filters into normal form.

    `fit_in` says that the URL asked for `fit-in` of some kind, where enlarging must be allowed expressly.
    Raise `BadArgument` for more than the limits allow.
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
    return _normal(replace(wish, effects=tuple(effects), options=options), fit_in, limits)


def _normal(wish: Transform, fit_in: bool, limits: Limits) -> Transform:
    dpr = wish.options.dpr
    sized = replace(
        wish,
        width=_side("width", wish.width, dpr, limits),
        height=_side("height", wish.height, dpr, limits),
        padding=Padding(*(_side("padding", side, dpr, limits) for side in wish.padding)),
        effects=tuple(_scaled(call, dpr) for call in wish.effects),
        upscale=_upscale(wish, fit_in),
        options=replace(wish.options, dpr=1, upscale=None),
    )
    return _without_the_idle(sized)


def _upscale(wish: Transform, fit_in: bool) -> bool:
    if wish.options.upscale is not None:
        return wish.options.upscale
    return not fit_in or wish.fit is Fit.OUTSIDE


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


def _without_the_idle(asked: Transform) -> Transform:
    """Drop what can have no effect on this picture."""
    if asked.width == asked.height == 0:
        asked = replace(asked, fit=Fit.COVER, adaptive=False, upscale=True)
    if asked.fit is Fit.MIN:  # never enlarges; a side alone has no proportions to keep
        one_side = 0 in (asked.width, asked.height)
        asked = replace(asked, fit=Fit.COVER if one_side else Fit.MIN, adaptive=False, upscale=not one_side)
    if asked.crop == Region(0, 0, 0, 0):
        asked = replace(asked, crop=None)
    if not any(call.name == "fill" for call in asked.effects):
        asked = replace(asked, padding=NO_PADDING)
    if not asked.cropping:
        return replace(
            asked,
            smart=False,
            halign=HAlign.CENTER,
            valign=VAlign.MIDDLE,
            options=replace(asked.options, focal=()),
        )
    if asked.options.focal:
        return replace(asked, smart=False, halign=HAlign.CENTER, valign=VAlign.MIDDLE)
    if asked.smart:
        return replace(asked, halign=HAlign.CENTER, valign=VAlign.MIDDLE)
    return asked
