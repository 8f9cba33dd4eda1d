"""Kinds of query parameters: how a value becomes words of `Params`, and the words the value again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from imgproxy.dialects.request import Params
from imgproxy.image.filters import parse_call

ON, OFF = ("", "1", "true"), ("0", "false")  # `?smart` alone says yes

Said = Mapping[str, str]
"""The whole query by names: a few values mean something else beside others."""

Words = dict[str, Any]
"""Fields of `Params`; filters of several parameters are joined in the table's order."""


@dataclass(frozen=True, slots=True)
class QueryParam:
    """One parameter. `read` raises `ValueError` for what is not `expected`."""

    name: str
    expected: str
    read: Callable[[str, Said], Words]
    write: Callable[[Params], str | None]
    """The value that says these words, or None when there is nothing to say."""
    alias: str = ""


def filtered(name: str, arguments: str) -> Words:
    """One filter; raise `BadArgument` for arguments it does not take."""
    parse_call(name, arguments)  # refused here, where the parameter's own name is known
    return {"filters": ((name, arguments),)}


def argument_text(params: Params, name: str) -> str | None:
    """The arguments of the first filter of this name, as they stand in the path."""
    return next((arguments for each, arguments in params.filters if each == name), None)


def length(name: str, field: str, alias: str) -> QueryParam:
    """Set a side of the picture."""

    def read(value: str, _said: Said) -> Words:
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise ValueError
        return {field: int(value)}

    return QueryParam(
        name,
        "a whole number of pixels",
        read,
        lambda params: str(getattr(params, field) or "") or None,
        alias,
    )


def numbers(name: str, filter_name: str = "", *, alias: str = "") -> QueryParam:
    """Hand the value to a filter as it stands."""
    target = filter_name or name
    return QueryParam(
        name,
        f"what filters:{target}(…) takes",
        lambda value, _said: filtered(target, value),
        lambda params: argument_text(params, target),
        alias,
    )


def text(name: str, filter_name: str, *, safe: str = "", bare: tuple[str, ...] = ()) -> QueryParam:
    """Hand the value to a filter that percent-decodes; `bare` values mean no argument."""

    def write(params: Params) -> str | None:
        arguments = argument_text(params, filter_name)
        return None if arguments is None else unquote(arguments)

    return QueryParam(
        name,
        f"what filters:{filter_name}(…) takes",
        lambda value, _said: filtered(filter_name, "" if value in bare else quote(value, safe=safe)),
        write,
    )


def switch(name: str, on: str, off: str = "") -> QueryParam:
    """Set or do not set a filter without arguments; `off` is the filter that says no."""

    def read(value: str, _said: Said) -> Words:
        if value not in ON + OFF:
            raise ValueError
        chosen = on if value in ON else off
        return {"filters": ((chosen, ""),)} if chosen else {}

    def write(params: Params) -> str | None:
        if (on, "") in params.filters:
            return "1"
        return "0" if off and (off, "") in params.filters else None

    return QueryParam(name, "1 or 0", read, write)
