"""attachment(name): have the browser save the image, under `name` if one is given."""

from dataclasses import replace

from imgproxy.image.filters.arguments import Text
from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options, name: str) -> Options:
    return replace(options, attachment=name)


ATTACHMENT = Filter("attachment", (Text("name", 200, ""),), set=_set)
