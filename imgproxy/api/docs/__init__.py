"""The page at /v1/docs: the OpenAPI document for people. One file, no script, nothing from anywhere else.

It is made of the document and of the table of codes, so what it says is what is served.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from typing import Any

from imgproxy.api.docs.article import article, examples
from imgproxy.api.docs.markup import Document, coloured, figure, inline, method_badge, prose
from imgproxy.http import problems


def page(document: Document) -> str:
    """The page of a document."""
    info = document["info"]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(info["title"])}</title>
<style>{_style()}</style>
</head>
<body>
<div class="page">
{_navigation(document)}
<main>
<header>
<h1>{escape(info["title"])}</h1>
<p class="lead">{escape(info["summary"])} Version {escape(info["version"])}, and as
<a href="/v1/openapi.json">OpenAPI 3.1</a>.</p>
{prose(info["description"])}
</header>
{_authentication(document)}
{"".join(_group(document, tag) for tag in document["tags"])}
{_errors(document)}
</main>
</div>
</body>
</html>
"""


def headers() -> dict[str, str]:
    """What the page's answer says: its own style, and nothing else of anybody."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
    return {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": f"{policy}frame-ancestors 'none'",
        "Content-Type": "text/html; charset=utf-8",
        "Referrer-Policy": "no-referrer",
        "Server": "imgproxy",
        "X-Content-Type-Options": "nosniff",
    }


def _style() -> str:
    return resources.files(__package__).joinpath("docs.css").read_text("utf-8")


def _operations(document: Document) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Paths, methods and operations, in the document's order."""
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _of(document: Document, tag: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    return [each for each in _operations(document) if tag in each[2]["tags"]]


def _navigation(document: Document) -> str:
    groups = "".join(
        f"<h2>{escape(tag['name'])}</h2><ul>"
        + "".join(
            f'<li><a href="#{operation["operationId"]}">{method_badge(method)}'
            f"<span>{escape(operation['summary'])}</span></a></li>"
            for _, method, operation in _of(document, tag["name"])
        )
        + "</ul>"
        for tag in document["tags"]
    )
    info = document["info"]
    return f"""<nav aria-label="Contents">
<strong>{escape(info["title"])}</strong><span>{escape(info["version"])}</span>
<h2>First</h2>
<ul><li><a href="#authentication">Authentication</a></li><li><a href="#errors">Errors</a></li></ul>
{groups}
</nav>"""


def _authentication(document: Document) -> str:
    schemes = document["components"]["securitySchemes"].values()
    rows = "".join(
        f"<dt><code>{escape(_scheme_header(scheme))}</code></dt><dd>{inline(scheme['description'])}</dd>"
        for scheme in schemes
    )
    return f"""<section id="authentication">
<h2>Authentication</h2>
<dl>{rows}</dl>
</section>"""


def _scheme_header(scheme: Mapping[str, Any]) -> str:
    return f"{scheme['name']}: …" if scheme["type"] == "apiKey" else "Authorization: Bearer …"


def _group(document: Document, tag: Mapping[str, str]) -> str:
    usual = _usual(document)
    articles = "".join(article(document, *each, usual=usual) for each in _of(document, tag["name"]))
    return f"<section><h2>{escape(tag['name'])}</h2><p>{inline(tag['description'])}</p>{articles}</section>"


def _usual(document: Document) -> frozenset[str]:
    """The codes that every operation has, and that need not be said at each."""
    each = [
        {code for response in operation["responses"].values() for code in examples(response)}
        for _, _, operation in _operations(document)
    ]
    return frozenset(set.intersection(*each)) if each else frozenset()


def _errors(document: Document) -> str:
    """Every code that there is, once: problems name their place here as their type."""
    ordered = sorted(problems.meanings().items(), key=lambda each: (each[0].status, each[0].code))
    rows = "".join(
        f'<tr id="{found.code.replace("/", "-")}"><td>{found.status}</td><td><code>{found.code}</code></td>'
        f"<td>{inline(meaning)}</td></tr>"
        for found, meaning in ordered
    )
    every = (shown["value"] for _, _, each in _operations(document) for shown in _values(each))
    sample: Mapping[str, Any] = next(every, {})
    body = coloured(json.dumps(sample, indent=2, ensure_ascii=False))
    return f"""<section id="errors">
<h2>Errors</h2>
<p>One body for all, as RFC 9457 has it and with an <code>error</code> besides; its media type is
<code>application/problem+json</code> where <code>Accept</code> asks for that. Branch on
<code>error.code</code>, show <code>error.message</code>, and keep <code>request_id</code>, which the log has
too.</p>
{figure("An error", body)}
<div class="scroll"><table><thead><tr><th>Status</th><th>Code</th><th>Meaning</th></tr></thead>
<tbody>{rows}</tbody></table></div>
</section>"""


def _values(operation: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for response in operation["responses"].values():
        yield from examples(response).values()
