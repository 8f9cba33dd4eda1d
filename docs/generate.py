"""Reference tables of the documentation, made from the declarations in the code: `python -m docs.generate`.

A page holds `<!-- generated: NAME -->` and `<!-- end -->`; the text between them comes from the function
of that name here. `tests/test_docs.py` checks that every page is current.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from imgproxy.cli import main as command
from imgproxy.image.filters import FILTERS, Filter
from imgproxy.image.filters.arguments import REQUIRED, Argument
from imgproxy.image.formats import READERS
from imgproxy.settings import Settings

DOCS = Path(__file__).parent
PAGES = tuple(sorted(DOCS.glob("*.md")))
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

SECTIONS = {
    "storage": "Storage and database",
    "unsigned": "Signed URLs",
    "purge_secret": "Purge",
    "presets": "Images",
    "secret": "Files API",
    "jwt_secret": "Authentication",
    "api_rate": "Clients",
    "cache_dir": "Caches",
    "workers": "Workers",
    "max_source_bytes": "Limits",
    "ttl": "Freshness and monitoring",
}
"""Heading of each section of the settings, by its first setting."""

DEFAULTS = {
    "storage": "`file://./data/objects`",
    "database": "`sqlite:///./data/imgproxy.db`",
    "secret": "generated",
    "workers": "one a core",
    "sources_bytes": "`256MiB`",
    "background": "`white`",
}
"""Defaults that the code computes, or that have a better name than their value."""

EXAMPLES = {
    "source": "fit-in/240x240/demo/portrait.jpg",
    "fit-in": "fit-in/160x160/demo/portrait.jpg",
    "cover": "160x160/demo/portrait.jpg",
    "smart": "160x160/smart/demo/portrait.jpg",
    "stretch": "stretch/160x160/demo/portrait.jpg",
    "flip": "-240x-160/demo/portrait.jpg",
    "crop": "0.6x0.2:0.95x0.8/160x160/demo/portrait.jpg",
    "path_padding": "fit-in/200x120/20x20/filters:fill(tomato)/demo/portrait.jpg",
    "background_color": "fit-in/240x160/filters:background_color(ffd23f)/demo/logo.png",
    "blur": "240x160/filters:blur(8)/demo/landscape.jpg",
    "brightness": "240x160/filters:brightness(25)/demo/landscape.jpg",
    "contrast": "240x160/filters:contrast(30)/demo/landscape.jpg",
    "dpr": "120x80/filters:dpr(2)/demo/landscape.jpg",
    "fill": "fit-in/240x160/filters:fill(blur)/demo/rotated.jpg",
    "focal": "160x160/filters:focal(0.15,0.4)/demo/portrait.jpg",
    "grayscale": "240x160/filters:grayscale()/demo/landscape.jpg",
    "hue": "240x160/filters:hue(120)/demo/landscape.jpg",
    "max_bytes": "240x160/filters:format(webp):max_bytes(1200)/demo/landscape.jpg",
    "max_frames": "240x150/filters:max_frames(4)/demo/loop.gif",
    "no_upscale": "1200x1200/filters:no_upscale():proportion(20)/demo/logo.png",
    "padding": "200x120/filters:padding(tomato,20,20,20,20)/demo/landscape.jpg",
    "page": "240x150/filters:page(9)/demo/loop.gif",
    "proportion": "240x160/filters:proportion(0.5)/demo/landscape.jpg",
    "quality": "240x160/filters:format(webp):quality(5)/demo/landscape.jpg",
    "rgb": "240x160/filters:rgb(25,0,-25)/demo/landscape.jpg",
    "rotate": "240x160/filters:rotate(90)/demo/landscape.jpg",
    "round_corner": "240x160/filters:round_corner(30)/demo/landscape.jpg",
    "saturation": "240x160/filters:saturation(80)/demo/landscape.jpg",
    "sharpen": "240x160/filters:sharpen(4)/demo/landscape.jpg",
    "strip_icc": "160x160/filters:strip_icc()/demo/wide-gamut.jpg",
    "upscale": "fit-in/240x160/filters:upscale()/demo/portrait.jpg",
    "watermark": "240x160/filters:watermark(demo/logo.png,-8,-8,15,30)/demo/landscape.jpg",
}
"""URLs of the example images that `make images` stores in `docs/images`, by part of the path and filter."""


def main() -> None:
    """Write every generated table of every page anew."""
    for page in PAGES:
        page.write_text(current(page.read_text()))


def current(text: str) -> str:
    """Return a page with its generated tables made anew."""
    return BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}\n{block[3]}", text)


def settings() -> str:
    """Return the settings in the order of their declarations, a table a section."""
    lines = []
    for name, field in Settings.model_fields.items():
        if name in SECTIONS:
            lines += ["", f"## {SECTIONS[name]}", "", "| variable | default | meaning |", "|---|---|---|"]
        meaning = (field.description or "").replace("|", "\\|")
        lines.append(f"| `IMGPROXY_{name.upper()}` | {_default(name, field)} | {meaning}{_values(field)}. |")
    return "\n".join(lines[1:])


def _values(field: FieldInfo) -> str:
    """Return the allowed words of a setting, unless the description has them all."""
    words = [each for each in getattr(field.annotation, "__args__", ()) if isinstance(each, str) and each]
    missing = [each for each in words if f"`{each}`" not in (field.description or "")]
    return f". One of {', '.join(f'`{each}`' for each in words)}" if missing else ""


def _default(name: str, field: FieldInfo) -> str:
    if name in DEFAULTS:
        return DEFAULTS[name]
    text = _setting_text(field.default, duration=field.annotation is float)
    return f"`{text}`" if text else ""


def _setting_text(value: Any, *, duration: bool = False) -> str:
    """Return a value as the environment would hold it."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, ByteSize):
        return _in_units(value, {"GiB": 1024**3, "MiB": 1024**2, "KiB": 1024, "": 1})
    if duration and value:
        return _in_units(value, {"d": 86_400, "h": 3600, "min": 60, "s": 1})
    if isinstance(value, Mapping):
        return ",".join(f"{key.value}={number}" for key, number in value.items())
    if isinstance(value, tuple):
        return ",".join(getattr(each, "value", each) for each in value)
    return str(value)


def _in_units(value: float, units: Mapping[str, int]) -> str:
    unit = next(unit for unit, size in units.items() if value % size == 0)
    return f"{value // units[unit]:.0f}{unit}"


def filters() -> str:
    """Return a table of the filters: arguments with their ranges, meaning, an example image."""
    lines = ["| filter | meaning | example |", "|---|---|---|"]
    lines += [f"| {_signature(each)} | {_meaning(each)} | {_example(each.name)} |" for each in FILTERS]
    return "\n".join(lines)


def _signature(filter_: Filter) -> str:
    """Return the name with its arguments, and the range and default of each below."""
    ranges = [f"<br>{each.name}: {text}" for each in filter_.arguments if (text := _range(each))]
    return f"`{_documented(filter_)[0]}`{''.join(ranges)}".replace("|", "\\|")


def _documented(filter_: Filter) -> tuple[str, str]:
    """Return a filter's signature and meaning, as the docstring of its module has them."""
    text = (import_module(f"imgproxy.image.filters.{filter_.name}").__doc__ or "").strip()
    signature, _, meaning = " ".join(text.split("\n\n")[0].split()).partition(": ")
    return signature, meaning


def _meaning(filter_: Filter) -> str:
    meaning = _documented(filter_)[1]
    return f"{meaning[0].upper()}{meaning[1:]}".replace("|", "\\|")


def _range(argument: Argument) -> str:
    """Return the values of an argument, and its default."""
    default = "" if argument.default in (REQUIRED, None, "") else f", default {_plain(argument.default)}"
    if hasattr(argument, "low"):
        return f"{_bounds(argument.low, argument.high)}{default}"
    words = ", ".join(getattr(argument, "words", ()))
    if type(argument).__name__ == "Paint":
        return f"colour{words and ', '}{words}{default}"
    if longest := getattr(argument, "longest", None):
        return f"text of {longest} characters at most"
    return f"{words}{default}" if words else ""


def _bounds(low: float, high: float) -> str:
    if math.isinf(low):
        return "number"
    return f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:.15g}"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else getattr(value, "value", None) or "0"


def _example(name: str) -> str:
    if name not in EXAMPLES:
        return ""
    return f"![{name}](images/{name}.webp)<br>`/{EXAMPLES[name]}`"


def readers() -> str:
    """Return a table of the readers and their image types."""
    lines = ["| reader | reads |", "|---|---|"]
    return "\n".join(lines + [f"| `{name}` | {' '.join(types)} |" for name, types in READERS.items()])


def endpoints() -> str:
    """Return a table of the endpoints of each group of the OpenAPI document."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        command(["openapi"])
    document = json.loads(printed.getvalue())
    lines = []
    for tag in document["tags"]:
        lines += ["", f"### {tag['name']}", "", tag["description"], "", "| endpoint | does |", "|---|---|"]
        for path, methods in document["paths"].items():
            lines += [
                f"| `{method.upper()} {path}` | {operation['summary'].rstrip('.')}. |"
                for method, operation in methods.items()
                if tag["name"] in operation["tags"]
            ]
    return "\n".join(lines[1:])


def metrics() -> str:
    """Return a table of the metrics that a running server exposes."""
    lines = ["| metric | type | meaning |", "|---|---|---|"]
    return "\n".join(lines + [f"| `{name}` | {kind} | {text} |" for name, kind, text in exposed_metrics()])


def exposed_metrics() -> list[tuple[str, str, str]]:
    """Return name, type and help of each metric of the server's own, from a server started for it."""
    with TemporaryDirectory() as folder:
        text = _scrape(Path(folder))
    helps = dict(re.findall(r"^# HELP (imgproxy_\w+) (.*)$", text, re.MULTILINE))
    kinds = dict(re.findall(r"^# TYPE (imgproxy_\w+) (\w+)$", text, re.MULTILINE))
    return sorted((name, kinds[name], helps[name]) for name in helps if not name.endswith("_created"))


def _scrape(folder: Path) -> str:
    """Return the text of `/metrics` of a server that runs in a folder of its own."""
    with running(folder, "serve") as (_, admin), urllib.request.urlopen(f"{admin}/metrics") as response:  # noqa: S310
        return response.read().decode()


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[str, str]]:
    """Run a server in a folder of its own; yield the URLs of its public and its admin port."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, admin = one.getsockname()[1], other.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IMGPROXY_")}
    ours = {"IMGPROXY_ADMIN_PORT": str(admin), "IMGPROXY_WORKERS": "1", "PYTHONPATH": str(DOCS.parent)}
    command_line = [sys.executable, "-m", "imgproxy", *arguments, "--port", str(port)]
    with subprocess.Popen(
        command_line, cwd=folder, env=clean | ours, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            next(line for line in server.stdout or () if "listens on" in line)
            yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
        finally:
            server.terminate()


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings,
    "filters": filters,
    "readers": readers,
    "endpoints": endpoints,
    "metrics": metrics,
}

if __name__ == "__main__":
    main()
