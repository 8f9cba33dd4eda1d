"""The page of the documentation: everything of the document, and nothing that a browser would fetch."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from imgproxy.api.docs import headers, page
from imgproxy.api.openapi import document
from tests.api.shell import THINGS

DOCUMENT = document([THINGS])
PAGE = page(DOCUMENT)


class Reader(HTMLParser):
    """Notes ids, links, and whether every element ends where it should."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        if "id" in given:
            self.ids.append(given["id"] or "")
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read() -> Reader:
    reader = Reader()
    reader.feed(PAGE)
    reader.close()
    return reader


def test_every_element_ends_where_it_should() -> None:
    assert read().open == []


def test_it_fetches_nothing_and_runs_nothing() -> None:
    reader = read()
    assert reader.tags.isdisjoint({"script", "img", "link", "iframe", "object"})
    assert [link for link in reader.links if not link.startswith(("#", "/v1/"))] == []


def test_every_link_within_leads_somewhere_and_every_place_is_there_once() -> None:
    reader = read()
    assert len(set(reader.ids)) == len(reader.ids)
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)


def test_every_operation_has_its_place_and_a_call_to_copy() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            assert f'<article id="{operation["operationId"]}">' in PAGE
            place = path.replace("{id}", "$ID")
            assert f'curl -X {method.upper()} "$HOST{place}"' in PAGE


def test_the_browser_lets_in_the_page_s_own_style_and_nothing_else() -> None:
    policy = headers()["Content-Security-Policy"]
    style = re.search(r"<style>(.*?)</style>", PAGE, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert " style=" not in PAGE
