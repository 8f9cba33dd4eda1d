"""Signed URLs with anything changed are refused: those of the edge, and signed URLs of our own gateway."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from imgproxy.dialects.signature import digest
from tests.attack.server import JPEG, Attacked, Tenant, attacked

SECRET = "a secret that signs URLs"
PATH = "fit-in/20x20/filters:quality(80)/photo.jpg"
SIGNATURE = digest(SECRET, PATH, algorithm="sha256")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A server of signed URLs alone."""
    folder = tmp_path_factory.mktemp("signed")
    with attacked(folder, unregistered="public", unsigned="deny", signing_secrets=(SECRET,)) as server:
        server.store("photo.jpg", JPEG)
        server.store("other.jpg", JPEG)
        yield server


def test_signed_url_is_served(signed: Attacked) -> None:
    assert signed.request(f"/{SIGNATURE}/{PATH}").status == 200


CHANGED = {
    "another size": f"/{SIGNATURE}/fit-in/21x20/filters:quality(80)/photo.jpg",
    "another filter": f"/{SIGNATURE}/fit-in/20x20/filters:quality(81)/photo.jpg",
    "one more filter": f"/{SIGNATURE}/fit-in/20x20/filters:quality(80):blur(1)/photo.jpg",
    "another key": f"/{SIGNATURE}/fit-in/20x20/filters:quality(80)/other.jpg",
    "longer key": f"/{SIGNATURE}/{PATH}.jpg",
    "key and query": f"/{SIGNATURE}/{PATH}?w=300",
    "key and mark": f"/{SIGNATURE}/{PATH}?",
    "key and fragment": f"/{SIGNATURE}/{PATH}%23",
    "meta": f"/{SIGNATURE}/meta/{PATH}",
    "meta before": f"/meta/{SIGNATURE}/{PATH}",
    "trim": f"/{SIGNATURE}/trim/{PATH}",
    "unsafe": f"/unsafe/{PATH}",
    "unsafe within": f"/{SIGNATURE}/unsafe/{PATH}",
    "unsafe before": f"/unsafe/{SIGNATURE}/{PATH}",
    "no signature": f"/{PATH}",
    "no options": f"/{SIGNATURE}/photo.jpg",
    "empty signature": f"//{PATH}",
    "cut": f"/{SIGNATURE[:-2]}/{PATH}",
    "cut to a byte": f"/{SIGNATURE[:2]}/{PATH}",
    "longer": f"/{SIGNATURE.rstrip('=')}A/{PATH}",
    "lower case": f"/{SIGNATURE.lower()}/{PATH}",
    "twice": f"/{SIGNATURE}/{SIGNATURE}/{PATH}",
    "NUL": f"/{SIGNATURE}%00/{PATH}",
    "of sha1": f"/{digest(SECRET, PATH, algorithm='sha1')}/{PATH}",
    "of sha512": f"/{digest(SECRET, PATH, algorithm='sha512')}/{PATH}",
    "of an empty secret": f"/{base64.urlsafe_b64encode(bytes(32)).decode()}/{PATH}",
    "of the path with a slash": f"/{digest(SECRET, '/' + PATH, algorithm='sha256')}/{PATH}",
    "of another secret": f"/{digest('another', PATH, algorithm='sha256')}/{PATH}",
    "key in the query": f"/{SIGNATURE}/photo.jpg?w=20&h=20",
    "absolute": f"http://img.example/{SIGNATURE}/{PATH}?a",
}


@pytest.mark.parametrize("name", CHANGED)
def test_changed_url_is_refused(signed: Attacked, name: str) -> None:
    response = signed.request(CHANGED[name])
    assert response.status in (400, 403, 404), response
    assert b"\xff\xd8" not in response.body


def test_signature_with_any_letter_changed_is_refused(signed: Attacked) -> None:
    with signed.connect() as wire:
        for at in range(len(SIGNATURE.rstrip("="))):
            # the last letter carries four bits only: the next one that differs in them
            other = LETTERS[(LETTERS.index(SIGNATURE[at]) + 4) % 64]
            changed = SIGNATURE[:at] + other + SIGNATURE[at + 1 :]
            assert wire.request(f"/{changed}/{PATH}").status == 403


# -- signed URLs --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def download(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tenant, str, str]]:
    """A download URL: whose, its path and its query."""
    with attacked(tmp_path_factory.mktemp("signed")) as server:
        acme = server.tenant("acme")
        file = acme.upload(visibility="private")
        told = acme.call("POST", f"/v1/files/{file['id']}/download-url", {}).json()
        url = next(value for value in told.values() if isinstance(value, str) and "/-/" in value)
        path, _, query = ("/" + url.split("/", 3)[3]).partition("?")
        assert server.request(f"{path}?{query}").body == JPEG
        yield acme, path, query


def changes(query: str) -> dict[str, str]:
    pairs = [pair.split("=", 1) for pair in query.split("&")]
    found = {"empty": "", "order alone": "&".join(reversed(query.split("&")))}
    for index, (name, value) in enumerate(pairs):
        rest = pairs[:index] + pairs[index + 1 :]
        forms = {
            f"{name} missing": rest,
            f"{name} twice": [*pairs, [name, value]],
            f"{name} empty": [*rest, [name, ""]],
            f"{name} longer": [*rest, [name, value + "0"]],
            f"{name} before": [*rest, [name, "0" + value]],
            f"{name} in capitals": [*rest, [name.upper(), value]],
            f"{name} spaced": [*rest, [name, f"%20{value}"]],
        }
        found |= {form: "&".join("=".join(pair) for pair in each) for form, each in forms.items()}
    for name, value in (("part", "1"), ("upload", "x"), ("length", "1"), ("type", "text/html"), ("x", "1")):
        found[f"with {name}"] = f"{query}&{name}={value}"
    return found


def test_changed_signed_url_is_refused(download: tuple[Tenant, str, str]) -> None:
    acme, path, query = download
    for name, changed in changes(query).items():
        response = acme.server.request(f"{path}?{changed}")
        if name == "order alone":
            assert response.status == 200
        else:
            assert response.status == 403, (name, response)
            assert JPEG not in response.body


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_signed_url_is_for_its_method_alone(download: tuple[Tenant, str, str], method: str) -> None:
    acme, path, query = download
    response = acme.server.request(f"{path}?{query}", method=method, body=b"x", Content_Type="image/jpeg")
    assert response.status in (403, 405)


@pytest.mark.parametrize("change", ["/../", "//", "/%2e/", "/%2F", "%00", "%20", "?", "/x"])
def test_signed_url_is_for_its_key_alone(download: tuple[Tenant, str, str], change: str) -> None:
    acme, path, query = download
    for changed in (f"{path}{change}", path.replace("/-/", f"/-{change}", 1)):
        response = acme.server.request(f"{changed}?{query}")
        assert response.status in (400, 403, 404), (changed, response)
        assert JPEG not in response.body
