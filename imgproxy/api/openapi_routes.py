"""Routes that describe the files API: /v1/openapi.json, /v1/docs, and a page for each error code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from html import escape
from pathlib import Path

from aiohttp import web

from imgproxy.api.openapi import Groups, document
from imgproxy.http.headers import API_HEADERS, names_etag
from imgproxy.http.problems import meanings, type_url

_PLAIN = "text/plain; charset=utf-8"  # browsers would download text/markdown
_HEADERS = {**API_HEADERS, "Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"}


ERROR_PAGES = next(
    folder
    for folder in (Path(__file__).parents[1] / "error_pages", Path(__file__).parents[2] / "docs/errors")
    if folder.is_dir()
)
"""Pages of the error codes: in the package, or in `docs` of a source tree."""


def routes(groups: Groups) -> list[web.RouteDef]:
    """Return the routes; their bodies are made once."""
    described = document(groups)
    text = json.dumps(described, ensure_ascii=False)
    return [
        _fixed("/v1/openapi.json", text, "application/json"),
        _fixed("/v1/docs", _page(described["info"]["title"], groups), "text/html; charset=utf-8"),
        *(_fixed(type_url(code.code), _error_page(code.code), _PLAIN) for code in meanings()),
    ]


def _error_page(code: str) -> str:
    return (ERROR_PAGES / f"{code}.md").read_text("utf-8")


def _fixed(path: str, text: str, content_type: str) -> web.RouteDef:
    body = text.encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**_HEADERS, "Content-Type": content_type, "ETag": etag}

    async def show(http: web.Request) -> web.Response:
        if names_etag(http.headers.get("If-None-Match"), etag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)

    return web.get(path, show)


def _page(title: str, groups: Groups) -> str:
    """Return an index of endpoints and error codes, without scripts or styles."""
    endpoints = "".join(
        f"<h2>{escape(group.title)}</h2><p>{escape(group.text)}</p>"
        + _table((f"{each.method} {each.path}", each.summary) for each in group.endpoints)
        for group in groups
    )
    codes = "".join(
        f'<tr><td>{code.status}</td><td><a href="{type_url(code.code)}">{code.code}</a></td>'
        f"<td>{escape(meaning)}</td></tr>"
        for code, meaning in sorted(meanings().items())
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<h1>{escape(title)}</h1><p>In full: <a href="/v1/openapi.json">OpenAPI 3.1</a>.</p>'
        f'{endpoints}<h2 id="errors">Errors</h2><table>{codes}</table>'
    )


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = (f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<table>{''.join(cells)}</table>"
