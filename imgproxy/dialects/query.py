"""The query form, `key?w=300&fit=cover`: the path's options, one query param each.

Params take effect in the order of `query_params.QUERY_PARAMS`, wherever they stand, so that one image has
one cache key. Values are application/x-www-form-urlencoded. Unknown, repeated and invalid params are refused
by name: a CDN must not cache a typing mistake for ever.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, unquote_plus

from imgproxy.dialects import thumbor
from imgproxy.dialects.dialect import Dialect
from imgproxy.dialects.param_types import ParamFields, QueryParam, QueryValues
from imgproxy.dialects.query_params import BY_NAME, QUERY_PARAMS
from imgproxy.dialects.request import FilterText, Params
from imgproxy.errors import BadArgument, BadUrl

_PLAIN = ",:/"  # readable in a query without escapes


def parse(query: str) -> Params:
    """Parse a query, without its `?`; raise `BadArgument` naming the param and what is expected."""
    return Params(**param_fields(query))


def param_fields(query: str) -> ParamFields:
    """Return the fields of `Params` that a query sets; raise as `parse` does."""
    values = _values(query)
    if values.get("fit") == "pad" or "pad" in values:
        values.setdefault("bg", "white")
    if "w" in values or "h" in values:
        values.setdefault("upscale", "0")  # a srcset of 3840 must not blow up an image 720 wide
    fields: ParamFields = {}
    filters: tuple[FilterText, ...] = ()
    for param in QUERY_PARAMS:
        if param.name in values:
            read = _read(param, values)
            filters += read.pop("filters", ())
            fields |= read
    return {**fields, "filters": filters}


def generate(params: Params) -> str:
    """Return the query with these params of the image, without the `?`.

    Raise `BadArgument` if the query form has no equivalent: it lacks an adaptive fit-in, padding segments,
    repeated filters, and any order of filters but its own.
    """
    written = ((each.name, each.write(params)) for each in QUERY_PARAMS)
    text = "&".join(f"{name}={quote(value, safe=_PLAIN)}" for name, value in written if value is not None)
    if parse(text) != params.options:
        raise BadArgument("the query form cannot say this; the path form can")
    return text


def _values(query: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = (_decoded(part) for part in pair.partition("="))
        param = BY_NAME.get(name)
        if param is None:
            names = ", ".join(each.name for each in QUERY_PARAMS)
            raise BadArgument(f"query: '{name[:64]}' is not a parameter; there are {names}")
        if param.name in values:
            raise BadArgument(f"query: {param.name} is given twice")
        values[param.name] = value
    return values


def _decoded(text: str) -> str:
    if text.isascii() and "%" not in text and "+" not in text:
        return text
    try:
        decoded = unquote_plus(text, errors="strict")
        decoded.encode()
    except UnicodeError:
        raise BadArgument("query: a parameter is not valid UTF-8") from None
    return decoded


def _read(param: QueryParam, values: QueryValues) -> ParamFields:
    value = values[param.name]
    try:
        return dict(param.read(value, values))
    except ValueError:
        raise BadArgument(f"{param.name}: {param.expected} is expected, not '{value[:64]}'") from None
    except BadArgument as error:
        if str(error).startswith(f"{param.name}:"):
            raise
        raise BadArgument(f"{param.name}: {error}") from None


def _parse_target(target: str) -> Params:
    path, _, query = target.partition("?")
    params = thumbor.parse(path)
    if params != params.named:
        raise BadUrl("the URL has options in its path and in its query: use one of the two")
    return replace(params, **param_fields(query), path=f"{params.path}?{query}")


def _generate_target(params: Params) -> str:
    return f"{thumbor.generate(params.named)}?{generate(params)}"


QUERY = Dialect(
    "query",
    matches=lambda target: target.partition("?")[2] != "",
    parse=_parse_target,
    generate=_generate_target,
)
