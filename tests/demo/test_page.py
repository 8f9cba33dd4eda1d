"""The demo's page says only what is true: its URLs parse, its policy lets in exactly its own script."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpClient

from imgproxy.demo import page as demo_page
from imgproxy.demo.drawing import DRAWINGS
from imgproxy.dialects import Grammar, presets
from imgproxy.image.filters import FILTERS
from imgproxy.image.transform import Limits

KEYS = [drawing.key for drawing in DRAWINGS]
BASE = "http://127.0.0.1:8080"
GRAMMAR = Grammar(presets.parse("card=fit-in/300x200", limits=Limits()))
VOID = {"img", "input", "link", "meta"}


class Page(HTMLParser):
    """Links and images of a page, found by a strict walk: every element is closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str]] = []
        self.labelled: set[str] = set()
        self.ids: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[name] for name in ("href", "data-json") if name in found]
        if tag == "img":
            self.images.append(found)
        if tag == "label":
            self.labelled.add(found["for"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page() -> Page:
    return Page(demo_page.page("", KEYS))


def sources(page: Page) -> list[str]:
    """Return every URL that the page loads."""
    found = [*page.links, *(image["src"] for image in page.images)]
    for image in page.images:
        found += [each.split()[0] for each in image.get("srcset", "").split(", ") if each]
    return found


def test_html_is_well_formed(page: Page) -> None:
    assert page.open == []


def test_ids_are_given_once(page: Page) -> None:
    assert sorted(set(page.ids)) == sorted(page.ids)


def test_every_image_says_what_it_shows(page: Page) -> None:
    assert [image["src"] for image in page.images if not image.get("alt")] == []


def test_the_field_has_a_label(page: Page) -> None:
    assert page.labelled == {"path"}


def test_every_original_is_listed(page: Page) -> None:
    assert [key for key in KEYS if f"/{key}" not in page.links] == []


def test_every_url_on_the_page_can_be_read(page: Page) -> None:
    for url in sources(page):
        request = GRAMMAR.read(url)
        assert request.source in (*KEYS, None)


def test_every_url_that_the_terminal_shows_can_be_read() -> None:
    for _, url in demo_page.urls(BASE, KEYS):
        assert url.startswith(f"{BASE}/")
        assert GRAMMAR.read(url.removeprefix(BASE)).transform is not None


def test_captions_fit_the_terminal_s_column() -> None:
    captions = [caption for caption, _ in demo_page.urls(BASE, KEYS)]
    assert max(map(len, captions)) <= 28
    assert len(set(captions)) == len(captions)


def test_examples_name_filters_that_exist() -> None:
    shown = {name for _, url in demo_page.urls("", KEYS) for name in re.findall(r"(\w+)\(", url)}
    assert shown <= {each.name for each in FILTERS}


def test_the_landscape_comes_in_several_widths(page: Page) -> None:
    widths = [each.split()[1] for each in page.images[0]["srcset"].split(", ")]
    assert widths == ["480w", "960w", "1600w", "2400w"]


def test_without_a_image_its_examples_are_left_out() -> None:
    urls = [url for _, url in demo_page.urls("", ["demo/logo.png"])]
    assert urls == ["/fit-in/320x320/demo/logo.png"]


def test_without_images_there_still_is_a_page() -> None:
    assert Page(demo_page.page("", [])).open == []


def test_keys_are_escaped() -> None:
    text = demo_page.page("", ['demo/"><script>.png'])
    assert "<script>.png" not in text
    assert "/demo/%22%3E%3Cscript%3E.png" in text


def test_nothing_on_the_page_is_loaded_from_another_site() -> None:
    assert re.findall(r"(?:https?:)?//[\w.]+", re.sub(r"// .*", "", demo_page.page("", KEYS))) == []


def test_no_style_or_handler_stands_in_an_attribute() -> None:
    """Expect no inline attribute: a hash of the policy covers elements alone."""
    assert re.findall(r"<[^>]+\s(?:style|on\w+)=", demo_page.page("", KEYS)) == []


@pytest.mark.parametrize("kind", ["script", "style"])
def test_the_policy_names_the_hash_of_what_stands_in_the_page(kind: str) -> None:
    text = demo_page.page("", KEYS)
    (inline,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert f"{kind}-src 'sha256-{digest}'" in demo_page.content_security_policy(text).split("; ")


async def test_the_page_is_served_as_html_that_may_show_our_images_only(
    aiohttp_client: AiohttpClient,
) -> None:
    text = demo_page.page("", KEYS)
    application = web.Application()
    application.add_routes(demo_page.routes(text))
    client = await aiohttp_client(application)
    response = await client.get("/")
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert await response.text() == text
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert {"default-src 'none'", "img-src 'self'", "connect-src 'self'"} <= set(policy)
