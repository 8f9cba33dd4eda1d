"""Types of query params: each turns a value into fields of `Params`, and the fields into the value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from imgproxy.dialects.request import Params
from imgproxy.image.filters import parse_call

ON, OFF = ("", "1", "true"), ("0", "false")  # `?smart` alone is on

QueryValues = Mapping[str, str]
"""The whole query by names: the meaning of a few values depends on others."""

ParamFields = dict[str, Any]
"""Fields of `Params`; filters of several params are joined in the table's order."""


@dataclass(frozen=True, slots=True)
class QueryParam:
    """One query param. `read` raises `ValueError` for a value that is not `expected`."""

    name: str
    expected: str
    read: Callable[[str, QueryValues], ParamFields]
    write: Callable[[Params], str | None]
    """Return the value that gives these params, or None if none is needed."""
    alias: str = ""


def filtered(name: str, arguments: str) -> ParamFields:
    """Return one filter; raise `BadArgument` for invalid arguments."""
    parse_call(name, arguments)  # refused here, where the param's own name is known
    return {"filters": ((name, arguments),)}


def argument_text(params: Params, name: str) -> str | None:
    """Return the arguments of the first filter of this name, as they stand in the path."""
    return next((arguments for each, arguments in params.filters if each == name), None)


def length(name: str, field: str, alias: str) -> QueryParam:
    """Return a param for a side of the image."""

    def read(value: str, _values: QueryValues) -> ParamFields:
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
    """Return a param whose value is a filter's arguments."""
    target = filter_name or name
    return QueryParam(
        name,
        f"what filters:{target}(…) takes",
        lambda value, _values: filtered(target, value),
        lambda params: argument_text(params, target),
        alias,
    )


def text(name: str, filter_name: str, *, safe: str = "", bare: tuple[str, ...] = ()) -> QueryParam:
    """Return a param for a filter that percent-decodes; `bare` values mean no argument."""

    def write(params: Params) -> str | None:
        arguments = argument_text(params, filter_name)
        return None if arguments is None else unquote(arguments)

    return QueryParam(
        name,
        f"what filters:{filter_name}(…) takes",
        lambda value, _values: filtered(filter_name, "" if value in bare else quote(value, safe=safe)),
        write,
    )


def switch(name: str, on: str, off: str = "") -> QueryParam:
    """Return a param for a filter without arguments; `off` is the filter of the value 0."""

    def read(value: str, _values: QueryValues) -> ParamFields:
        if value not in ON + OFF:
            raise ValueError
        chosen = on if value in ON else off
        return {"filters": ((chosen, ""),)} if chosen else {}

    def write(params: Params) -> str | None:
        if (on, "") in params.filters:
            return "1"
        return "0" if off and (off, "") in params.filters else None

    return QueryParam(name, "1 or 0", read, write)
