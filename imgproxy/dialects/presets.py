"""Named transforms of a deployment: `card=fit-in/300x200/filters:quality(80);avatar=80x80/smart`.

A preset holds options alone: no image, no signature, no other preset. Options of a URL override those of its
preset (`request.merge`), as over imagor's BASE_PARAMS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from imgproxy.dialects import thumbor
from imgproxy.dialects.request import Params, transform
from imgproxy.errors import BadArgument, RequestError
from imgproxy.image.source import decode_name
from imgproxy.image.transform import Limits

NO_PRESETS: Mapping[str, Params] = MappingProxyType({})


def parse(text: str, *, limits: Limits) -> Mapping[str, Params]:
    """Parse the setting and check every preset; raise `ValueError`, one line naming the preset."""
    presets: dict[str, Params] = {}
    for entry in filter(None, (each.strip() for each in text.split(";"))):
        name, equals, options = (part.strip() for part in entry.partition("="))
        if not (equals and thumbor.PRESET_NAME.fullmatch(name)):
            raise ValueError(f"name=options is expected, with a name of letters and digits, not '{entry}'")
        if name in presets:
            raise ValueError(f"the preset '{name}' is given twice")
        try:
            presets[name] = _preset(options, limits)
        except RequestError as error:
            raise ValueError(f"the preset '{name}': {error}") from None
    return MappingProxyType(presets)


def _preset(options: str, limits: Limits) -> Params:
    params = thumbor.parse(f"{options.strip('/')}/")
    if params.image:
        word = params.image.rstrip("/")
        raise BadArgument(f"'{word}' is not an option, or not in its place; a preset names no image")
    if params.params or params.meta or params.unsafe or params.hash:
        raise BadArgument("a preset holds options, not a kind of answer or a signature")
    if params.preset or any(name == "preset" for name, _ in params.filters):
        raise BadArgument("a preset cannot name another")
    transform(params, presets=NO_PRESETS, limits=limits)
    return params.options


def check_only(params: Params, presets: Mapping[str, Params]) -> None:
    """Raise `BadArgument` unless the URL consists of names of presets and an object's name.

    Options that change nothing, such as `0x0/` or `?preset=card&fit=cover`, are refused as well: each is one
    more URL for caches to keep. So is `color:red`, an image that its client chooses freely.
    """
    path, _, query = params.path.lstrip("/").partition("?")
    named = Params() if query else Params(preset=params.preset, filters=params.filters)
    options = thumbor.options(replace(named, meta=params.meta))
    if (
        not (params.preset or params.filters)
        or any(name != "preset" for name, _ in params.filters)
        or params.image.startswith("color:")
        or query not in ("", f"preset={params.preset}")
        or not path.startswith(options)
        or decode_name(path.removeprefix(options))[0] != params.image
    ):
        raise BadArgument(
            f"only presets are allowed here: preset:NAME/KEY is expected, with {', '.join(presets) or 'none'}"
        )
