"""The small pieces of the page: code, colours, words, and what a schema allows in a few of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

_PREFIX = "#/components/schemas/"
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|(?<!\w)(true|false|null|-?\d+(?:\.\d+)?)\b')

Document = Mapping[str, Any]


def figure(caption: str, code: str) -> str:
    return f'<figure><figcaption>{caption}</figcaption><pre tabindex="0"><code>{code}</code></pre></figure>'


def coloured(text: str) -> str:
    """JSON with its names, texts and values marked, escaped for HTML."""

    def mark(found: re.Match[str]) -> str:
        quoted, colon, value = found.groups()
        if value is not None:
            return f'<span class="v">{value}</span>'
        return f'<span class="{"n" if colon else "t"}">{escape(quoted, quote=False)}</span>{colon or ""}'

    return _TOKEN.sub(mark, text)


def method_badge(method: str) -> str:
    return f'<span class="method {method}">{method.upper()}</span>'


def path_marked(path: str) -> str:
    return re.sub(r"({\w+})", r"<b>\1</b>", escape(path))


def prose(text: str) -> str:
    """Paragraphs and numbered lists of a description."""
    found = ""
    for block in text.split("\n\n"):
        lines = block.split("\n")
        if all(re.match(r"\d+\. ", line) for line in lines):
            items = "".join(f"<li>{inline(line.partition('. ')[2])}</li>" for line in lines)
            found += f"<ol>{items}</ol>"
        else:
            found += f"<p>{inline(block)}</p>"
    return found


def inline(text: str) -> str:
    """Words with `code` among them."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def resolved(document: Document, given: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in given:
        return given
    found: Any = document
    for step in given["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found  # type: ignore[no-any-return]


def kind(document: Document, schema: Mapping[str, Any]) -> str:
    """What a value may be, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_PREFIX)
        found = resolved(document, schema)
        return kind(document, found) if "enum" in found else name
    if "anyOf" in schema:
        choices = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
        return " or ".join(kind(document, choice) for choice in choices)
    if "enum" in schema:
        return ", ".join(str(each) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {kind(document, schema['items'])}"
    return str(schema.get("format") or schema.get("const") or schema.get("type", "any")) + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    least = schema.get("minimum", schema.get("minLength"))
    most = schema.get("maximum", schema.get("maxLength"))
    unit = " characters" if "maxLength" in schema else ""
    if most is None or most > 10**12:
        return f", from {least}" if least is not None else ""
    return f", {least if least is not None else 'up to'}{'–' if least is not None else ' '}{most:,}{unit}"
