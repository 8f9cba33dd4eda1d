"""Attacks on image URLs: variants that no operator named, and memory for sources."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from imgproxy.dialects.signature import Signer
from tests.attack.conftest import Serve
from tests.attack.server import JPEG, Attacked

MIB = 1024 * 1024


BARE = [
    "/photo.jpg",
    "/unsafe/photo.jpg",
    "/meta/photo.jpg",
    "/params/photo.jpg",
    "/%70hoto.jpg",
    "/b64:cGhvdG8uanBn",
    "/0x0/photo.jpg",
    "/preset:card/0x0/photo.jpg",
    "/preset:card/filters:/photo.jpg",
    "/filters:preset(card)::/photo.jpg",
    "/filters%3Apreset(card)%3Ablur(1)/photo.jpg",
    "/photo.jpg?preset=card&fit=cover",
    "/photo.jpg?preset=card&w=3",
    "/photo.jpg?smart=0",
    "/photo.jpg?preset=c%61rd",
    "/preset:card/color:red",
    "/preset:card/filters:preset(face)/photo.jpg",
]
"""Spellings that are no preset by name, of an image that is there."""


def test_only_presets_serves_presets_by_name_and_nothing_else(serve: Serve) -> None:
    server = serve(
        unregistered="public",
        presets="card=fit-in/30x20;face=8x8/smart",
        only_presets=True,
        max_presets=1,
    )
    server.store("photo.jpg", JPEG)
    assert {server.request(target).status for target in BARE} == {400}
    named = [
        "/preset:card/photo.jpg",
        "/unsafe/preset:face/photo.jpg",
        "/filters:preset(card)/photo.jpg",
        "/photo.jpg?preset=card",
        "/meta/preset:card/photo.jpg",
        "/params/preset:card/photo.jpg",
    ]
    assert [server.request(target).status for target in named] == [200] * len(named)


@pytest.fixture
def layered(serve: Serve) -> Attacked:
    """A server that may hold 5 MiB of sources, and 19 watermarks of 1 MiB each."""
    server = serve(unregistered="public", max_source_bytes=MIB, sources_bytes=5 * MIB, memory_bytes=0)
    for number in range(19):
        server.store(f"overlay{number}.jpg", JPEG + bytes(MIB - len(JPEG)))
    server.store("photo.jpg", JPEG)
    return server


def overlays(*numbers: int) -> str:
    """A URL with these watermarks."""
    calls = ":".join(f"watermark(overlay{number}.jpg,0,0,{number})" for number in numbers)
    return f"/8x8/filters:{calls}/photo.jpg"


def test_nineteen_watermarks_are_refused_before_their_bytes_are_read(layered: Attacked) -> None:
    refused = layered.request(overlays(*range(19)))
    assert refused.status == 413
    assert "together" in refused.json()["detail"]
    assert held(layered) == 0


def test_requests_that_need_each_others_sources_wait_and_are_all_answered(layered: Attacked) -> None:
    targets = [overlays(1, 2), overlays(2, 1), overlays(2, 3), overlays(3, 1)]
    targets += [overlays(first % 19) for first in range(12)]
    with ThreadPoolExecutor(len(targets)) as pool:
        statuses = list(pool.map(lambda target: layered.request(target).status, targets))
    assert set(statuses) == {200}
    assert held(layered) == 0


def held(server: Attacked) -> int:
    """Bytes of sources that the server holds, by its metrics."""
    text = server.run(_metrics(server))
    (line,) = [each for each in text.splitlines() if each.startswith("imgproxy_sources_held_bytes ")]
    return int(float(line.split()[1]))


async def _metrics(server: Attacked) -> str:
    (route,) = [each for each in server.parts.admin.router.routes() if "metrics" in str(each.resource)][:1]
    answer = await route.handler(None)  # type: ignore[arg-type]
    body = answer.body  # type: ignore[union-attr]
    assert isinstance(body, bytes)
    return body.decode()


def test_prefixes_of_the_store_are_never_served_however_they_are_spelled(serve: Serve) -> None:
    server = serve(unregistered="public", hidden_prefixes=("lost+found/", "internal/"))
    root = server.settings.storage.root  # type: ignore[union-attr]
    for key in (".uploads/a.jpg", "x/.thumbs/a.jpg", "lost+found/a.jpg", "internal/a.jpg", "x/a.jpg"):
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(JPEG)
    hidden = [
        "/.uploads/a.jpg",
        "/.uploads%2Fa.jpg",
        "/meta/.uploads/a.jpg",
        "/b64:LnVwbG9hZHMvYS5qcGc",
        "/8x8/x/.thumbs/a.jpg",
        "/lost%2Bfound/a.jpg",
        "/internal/a.jpg?w=8",
        "/filters:watermark(internal%2Fa.jpg,0,0,0)/x/a.jpg",
        "/filters:watermark(.uploads/a.jpg,0,0,0)/x/a.jpg",
    ]
    assert [(target, server.request(target).status) for target in hidden] == [(each, 404) for each in hidden]
    assert server.request("/8x8/x/a.jpg").status == 200


def test_one_signature_is_one_entry_and_no_redirect_leaves_the_host(serve: Serve) -> None:
    server = serve(unregistered="public", unsigned="deny", signing_secrets=("s" * 16,))
    server.store("photo.jpg", JPEG)
    path = "8x8/filters:fill(red)/photo.jpg"
    signature = Signer(("s" * 16,)).sign(path)
    plain = f"/{signature}/{path}"
    assert server.request(plain).status == 200
    spellings = [f"/{signature[:-1]}{ending}/{path}" for ending in ("", "==", "=====", "%3D", "%3d%3D")]
    spellings += [f"{slashes}{signature}/{path}" for slashes in ("//", "///////")]
    spellings += [f"/{signature}/{path.replace(each, f'%{ord(each):02X}')}" for each in ":()"]
    spellings += [f"http://evil.example/{plain}", f"//{signature[:-1]}/{path.replace(':', '%3a')}"]
    for spelling in spellings:
        moved = server.request(spelling)
        assert (moved.status, moved.headers.get("location")) == (308, plain), spelling
    refused = [f"{plain}?", f"/{signature}//{path}", f"{plain}?&", f"/{signature}/%38x8/{path[4:]}"]
    refused += [f"/{signature}/./{path}", f"//evil.example/{path}", f"/\\evil.example/{path}"]
    assert {server.request(each).status for each in refused} <= {400, 403}
