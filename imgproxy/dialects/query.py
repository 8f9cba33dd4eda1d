"""The query form, `key?w=300&fit=cover`: the same words as the path's, one parameter each.

Parameters take effect in the order of `vocabulary.QUERY_PARAMS`, wherever they stand, so that one picture has
one name. Values are read as application/x-www-form-urlencoded. What is unknown, said twice or not understood
is refused by its name: a CDN must not cache a typing mistake for ever.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_plus

from imgproxy.dialects.param_types import QueryParam, Said, Words
from imgproxy.dialects.query_params import BY_NAME, QUERY_PARAMS
from imgproxy.dialects.request import FilterText, Params
from imgproxy.errors import BadArgument

_PLAIN = ",:/"  # readable in a query without escapes


def parse(query: str) -> Params:
    """Read a query, without its `?`; raise `BadArgument` naming the parameter and what is expected."""
    return Params(**words(query))


def words(query: str) -> Words:
    """The fields of `Params` that a query sets; raise as `parse` does."""
    said = _said(query)
    if said.get("fit") == "pad" or "pad" in said:
        said.setdefault("bg", "white")
    if "w" in said or "h" in said:
        said.setdefault("upscale", "0")  # a srcset of 3840 must not blow up an image 720 wide
    found: Words = {}
    filters: tuple[FilterText, ...] = ()
    for parameter in QUERY_PARAMS:
        if parameter.name in said:
            read = _read(parameter, said)
            filters += read.pop("filters", ())
            found |= read
    return {**found, "filters": filters}


def generate(params: Params) -> str:
    """Write the query that says what these params say of the picture, without the `?`.

    Raise `BadArgument` if the query form cannot: it knows no adaptive fit-in, no padding segment, no filter
    twice and no other order of filters than its own.
    """
    written = ((each.name, each.write(params)) for each in QUERY_PARAMS)
    text = "&".join(f"{name}={quote(value, safe=_PLAIN)}" for name, value in written if value is not None)
    if parse(text) != params.options:
        raise BadArgument("the query form cannot say this; the path form can")
    return text


def _said(query: str) -> dict[str, str]:
    said: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = (_decoded(part) for part in pair.partition("="))
        parameter = BY_NAME.get(name)
        if parameter is None:
            names = ", ".join(each.name for each in QUERY_PARAMS)
            raise BadArgument(f"query: '{name[:64]}' is not a parameter; there are {names}")
        if parameter.name in said:
            raise BadArgument(f"query: {parameter.name} is given twice")
        said[parameter.name] = value
    return said


def _decoded(text: str) -> str:
    if text.isascii() and "%" not in text and "+" not in text:
        return text
    try:
        decoded = unquote_plus(text, errors="strict")
        decoded.encode()
    except UnicodeError:
        raise BadArgument("query: a parameter is not valid UTF-8") from None
    return decoded


def _read(parameter: QueryParam, said: Said) -> Words:
    value = said[parameter.name]
    try:
        return dict(parameter.read(value, said))
    except ValueError:
        raise BadArgument(f"{parameter.name}: {parameter.expected} is expected, not '{value[:64]}'") from None
    except BadArgument as error:
        if str(error).startswith(f"{parameter.name}:"):
            raise
        raise BadArgument(f"{parameter.name}: {error}") from None
