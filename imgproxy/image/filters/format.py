"""format(name): the type to answer, whatever the client accepts."""

from dataclasses import replace

from imgproxy.errors import BadArgument
from imgproxy.image.filters.arguments import Argument
from imgproxy.image.filters.base import Filter
from imgproxy.image.formats import ALIASES, WRITTEN, Format, parse_format
from imgproxy.image.options import Options


class _FormatName(Argument):
    def parse(self, text: str, what: str) -> Format:
        named = parse_format(text)
        if named is None:
            raise BadArgument(f"{what}: one of {', '.join((*WRITTEN, *ALIASES))} is expected, not '{text}'")
        return named


def _set(options: Options, name: Format) -> Options:
    return replace(options, format=name)


FORMAT = Filter("format", (_FormatName("name"),), set=_set)
