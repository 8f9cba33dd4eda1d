"""The parts meet: what one of them signs, another serves."""

from __future__ import annotations

import http.client
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgproxy import app
from imgproxy.app import recipe
from imgproxy.image.colour import BLACK, Colour
from imgproxy.image.source import Key
from imgproxy.settings import Settings
from imgproxy.storage.s3 import S3Options
from imgproxy.storage.signed_url import UrlSigner
from tests.attack.server import JPEG, Tenant, attacked
from tests.services import SeaweedFS
from tests.serving import Served, serving

SECRET = "a secret of the deployment"
KEY = Key("staging/acme/photo.jpg")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, IMGPROXY_SECRET=SECRET, IMGPROXY_STORAGE=f"file://{folder / 'objects'}") as served:
        yield served


def url_signer(secret: str) -> UrlSigner:
    return UrlSigner(Settings(secret=secret).key_for("tickets"), clock=time.time)


def ask(served: Served, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)) as connection:
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_a_url_signed_by_the_deployments_secret_is_served(server: Served) -> None:
    signer = url_signer(SECRET)
    data = b"more than an edge reads of any other request" * 100_000
    assert ask(server, "PUT", signer.presign("PUT", KEY, expires=60), data) == (200, b"")
    assert ask(server, "GET", signer.presign("GET", KEY, expires=60)) == (200, data)


def test_a_url_signed_by_another_is_not(server: Served) -> None:
    url = url_signer("a secret of somebody else").presign("PUT", Key("evil"), expires=60)
    assert ask(server, "PUT", url, b"x")[0] == 403


def test_the_edge_serves_nothing_of_it(server: Served) -> None:
    assert ask(server, "GET", f"/{KEY}")[0] == 404


@pytest.fixture
def bucket_storage(seaweedfs: SeaweedFS, bucket: str, monkeypatch: pytest.MonkeyPatch) -> S3Options:
    for name, value in seaweedfs.owner.environment.items():
        monkeypatch.setenv(name, value)
    return S3Options(bucket, endpoint=seaweedfs.endpoint, path_style=True)


def in_bucket(tenant: Tenant, body: bytes) -> str:
    """The path of a private file whose bytes lie in a bucket."""
    presigned = tenant.presign(body, visibility="private")
    put = urllib.request.Request(presigned["url"], body, presigned["headers"], method="PUT")  # noqa: S310
    with urllib.request.urlopen(put) as answer:  # noqa: S310
        assert answer.status == 200
    return f"/v1/files/{tenant.register(presigned['key'], body, visibility='private').json()['id']}"


def test_downloads_proxy_streams_a_bucket_through_us_until_the_file_changes(
    bucket_storage: S3Options, tmp_path: Path
) -> None:
    body = JPEG.ljust(2_500_000)
    with attacked(tmp_path, storage=bucket_storage, downloads="proxy") as server:
        acme = server.tenant("acme")
        path = in_bucket(acme, body)
        told = acme.call("GET", f"{path}/download-url").json()
        assert told["url"].startswith("http://img.example/-/images/")
        url = told["url"].removeprefix("http://img.example")
        whole = server.request(url)
        assert (whole.status, whole.body) == (200, body)
        assert whole.headers["cache-control"] == "private, no-store"
        part = server.request(url, Range="bytes=1000000-2400000")
        assert (part.status, part.body) == (206, body[1_000_000:2_400_001])
        assert server.request(url, If_None_Match=whole.headers["etag"]).status == 304
        assert server.request(url, method="HEAD").headers["content-length"] == str(len(body))
        assert server.request(url, method="PUT", body=b"x").status == 405
        assert acme.call("PATCH", path, {"visibility": "protected"}).status == 200
        assert server.request(url).status == 403


def test_downloads_direct_gives_a_url_of_the_bucket_no_longer_good_than_the_setting(
    bucket_storage: S3Options, tmp_path: Path
) -> None:
    with attacked(tmp_path, storage=bucket_storage, download_ttl=60) as server:
        acme = server.tenant("acme")
        told = acme.call("GET", f"{in_bucket(acme, JPEG)}/download-url?expiresIn=3600").json()
        assert told["url"].startswith(f"{bucket_storage.endpoint}/{bucket_storage.bucket}/")
        assert (told["expiresIn"], "X-Amz-Expires=60" in told["url"]) == (60, True)
        with urllib.request.urlopen(told["url"]) as answer:  # noqa: S310
            assert answer.read() == JPEG
        assert server.request("/-/files/a").status == 404


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


@pytest.mark.parametrize(
    ("chosen", "spare"), [({}, 1), ({"worker_jobs": 1}, 3), ({"worker_jobs": 2, "sandbox": "require"}, 1)]
)
def test_make_pool_follows_worker_jobs_and_sandbox(
    chosen: dict[str, Any], spare: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, object] = {}
    monkeypatch.setattr(app, "Pool", lambda *_, **settings: told.update(settings))
    app.make_pool(Settings(workers=3, worker_memory=300 * 1024**2, **chosen))
    assert told == {
        "spare": spare,
        "recycle_jobs": chosen.get("worker_jobs", 10_000),
        "memory": 300 * 1024**2,
        "require_locks": chosen.get("sandbox") == "require",
    }
