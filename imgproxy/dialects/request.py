"""What a URL says, word for word; and what that means.

`Params` holds the words of any dialect under imagor's names, before meaning: nothing in it has been judged.
`transform` is where words become a `Transform`, so two dialects that say the same ask for the same picture.
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
"""Where a number of too many digits stops, as in imagor; every limit is far below."""

_LARGEST_TOLERANCE = 442  # the distance from black to white in RGB

FilterText = tuple[str, str]
"""A filter's name and its arguments, still percent-encoded."""


@dataclass(frozen=True, slots=True)
class Params:
    """The words of one URL, under imagor's names; what is empty, zero or false was not said."""

    params: bool = False
    hash: str = ""
    unsafe: bool = False
    path: str = ""
    """What a signature must cover: everything after `HASH/` or `unsafe/`, as received."""
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
    """Cover without enlarging; the one word that imagor does not have, said by the query form alone."""
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
    """Text between filters that belongs to none; imagor drops it in silence, `transform` does not."""
    base64_image: bool = False
    image: str = ""

    @property
    def options(self) -> Params:
        """What is said of the picture alone: without its name, the signature and the kind of answer."""
        return replace(
            self, params=False, hash="", unsafe=False, path="", meta=False, base64_image=False, image=""
        )

    @property
    def named(self) -> Params:
        """The rest: the name, the signature and the kind of answer, without a word on the picture."""
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
        """The answer to `/params`: imagor's names, nothing that was not said, whole numbers without a dot."""
        said = {name: value for name in _JSON_NAMES if (value := getattr(self, name))}
        shown = {
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in said.items()
        }
        if self.filters:
            shown["filters"] = [{"name": name, "args": arguments} for name, arguments in self.filters]
        return shown


_JSON_NAMES = tuple(each.name for each in fields(Params) if each.name != "ignored")

_TOGETHER = (
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
"""Words that are said, and overruled, as one."""


def merge(base: Params, over: Params) -> Params:
    """Put `over` on top of `base`: what it says wins, what it does not say stays; base filters come first."""
    kept = {
        name: getattr(base, name)
        for group in _TOGETHER
        if not any(getattr(over, name) for name in group)
        for name in group
    }
    aligned = over.h_align or over.v_align  # an alignment of one's own overrules a smart base
    return replace(
        over,
        **kept,
        smart=over.smart or (base.smart and not aligned),
        filters=base.filters + over.filters,
    )


def transform(params: Params, *, presets: Mapping[str, Params], limits: Limits) -> Transform:
    """Say what the words mean; raise `BadArgument` for what cannot be."""
    said = _opened(params, presets, limits)
    if said.ignored:
        raise BadArgument(f"filters: name(arguments) is expected, '{said.ignored[:64]}' belongs to no filter")
    wish = Transform(
        trim=_trim(said),
        crop=_crop(said),
        fit=_fit(said),
        adaptive=said.adaptive_fit_in,
        width=said.width,
        height=said.height,
        halign=HAlign(said.h_align or HAlign.CENTER),
        valign=VAlign(said.v_align or VAlign.MIDDLE),
        smart=said.smart,
        flip_h=said.h_flip,
        flip_v=said.v_flip,
        padding=Padding(said.padding_left, said.padding_top, said.padding_right, said.padding_bottom),
    )
    calls = [parse_call(name, arguments) for name, arguments in said.filters]
    return build(wish, calls, fit_in=said.fit_in, limits=limits)


def _opened(params: Params, presets: Mapping[str, Params], limits: Limits) -> Params:
    """Put the words on top of the presets they name, the last named uppermost."""
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


def _trim(said: Params) -> Trim | None:
    if not said.trim:
        return None
    if said.trim_tolerance > _LARGEST_TOLERANCE:
        raise BadArgument(
            f"trim: a tolerance of at most {_LARGEST_TOLERANCE} is expected, not {said.trim_tolerance}"
        )
    return Trim(said.trim_by or "top-left", said.trim_tolerance)


def _crop(said: Params) -> Region | None:
    sides = said.crop_left, said.crop_top, said.crop_right, said.crop_bottom
    return Region(*sides) if any(sides) else None


def _fit(said: Params) -> Fit:
    """`fit-in` wins over `stretch`, as in imagor."""
    if said.fit_min:
        return Fit.MIN
    if said.full_fit_in:
        return Fit.OUTSIDE
    if said.fit_in:
        return Fit.INSIDE
    return Fit.STRETCH if said.stretch else Fit.COVER
