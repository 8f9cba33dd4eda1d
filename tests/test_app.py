"""The parts meet: what one of them signs, another serves."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from imgproxy.app import recipe
from imgproxy.image.colour import BLACK, Colour
from imgproxy.image.source import Key
from imgproxy.settings import Settings
from imgproxy.storage.ticket import Tickets
from tests.serving import Served, serving

SECRET = "a secret of the deployment"
KEY = Key("staging/acme/photo.jpg")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, IMGPROXY_SECRET=SECRET, IMGPROXY_STORAGE=f"file://{folder / 'objects'}") as served:
        yield served


def tickets(secret: str) -> Tickets:
    return Tickets(Settings(secret=secret).key_for("tickets"), clock=time.time)


def ask(served: Served, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)) as connection:
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_a_url_signed_by_the_deployments_secret_is_served(server: Served) -> None:
    signer = tickets(SECRET)
    data = b"more than an edge reads of any other request" * 100_000
    assert ask(server, "PUT", signer.presign("PUT", KEY, expires=60), data) == (200, b"")
    assert ask(server, "GET", signer.presign("GET", KEY, expires=60)) == (200, data)


def test_a_url_signed_by_another_is_not(server: Served) -> None:
    url = tickets("a secret of somebody else").presign("PUT", Key("evil"), expires=60)
    assert ask(server, "PUT", url, b"x")[0] == 403


def test_the_edge_serves_nothing_of_it(server: Served) -> None:
    assert ask(server, "GET", f"/{KEY}")[0] == 404


@pytest.mark.parametrize("colour", [BLACK, Colour(1, 2, 3)], ids=str)
def test_recipe_background_changes_the_key(colour: Colour) -> None:
    default, changed = recipe(Settings()), recipe(Settings(background=colour))
    assert changed.encoding.background == colour
    assert changed.encoder != default.encoder


def test_recipe_compat_changes_the_key_though_all_it_implies_is_set() -> None:
    implied = recipe(Settings(compat="imagor"))
    assert implied.encoding.imagor
    assert implied.encoding.exact
    ours = {
        "shrink": "fast",
        "metadata": "strip",
        "background": "white",
        "quality": "jpeg=80,webp=80,avif=63",
    }
    default, set_all = recipe(Settings()), recipe(Settings(compat="imagor", **ours))
    assert replace(set_all.encoding, imagor=False) == default.encoding
    assert set_all.encoder != default.encoder


def test_recipe_damaged_changes_the_key_and_the_lifetime_of_damaged_images() -> None:
    shown, refused = recipe(Settings(shared_ttl=120)), recipe(Settings(shared_ttl=120, damaged="refuse"))
    assert (shown.damaged_seconds, refused.damaged_seconds) == (120, None)
    assert shown.encoder != refused.encoder
