"""preset(name): the transform that the deployment names so; the URL's own words go on top of it.

Presets are opened while the URL is read (`dialects`), so this option is never seen by an engine.
"""

from imgproxy.image.filters.arguments import Text
from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options, _name: str) -> Options:
    return options


PRESET = Filter("preset", (Text("name", 64),), set=_set)
