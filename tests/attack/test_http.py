"""Bodies that nobody reads, slow readers, slow senders, and idle connections."""

from __future__ import annotations

import gzip
import json
import resource
import select
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.attack.conftest import Serve
from tests.attack.server import Attacked, Tenant
from tests.attack.wire import Wire, head
from tests.pictures import encoded, noise
from tests.serving import serving

_BOMB = gzip.compress(bytes(8 * 1024**2))
_CHUNK = b"10000\r\n" + bytes(65_536) + b"\r\n"


@pytest.mark.parametrize("target", ["/small.jpg", "/absent.jpg", "/healthz", "/meta/small.jpg"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST", "PURGE"])
def test_edge_coded_body_is_415_and_never_inflated(edge: Attacked, target: str, method: str) -> None:
    response = edge.request(target, method=method, body=_BOMB, Content_Encoding="gzip")
    assert response.status == 415
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "unknown"])
def test_api_coded_body_is_415_with_its_code(files: Attacked, acme: Tenant, coding: str) -> None:
    for target in ("/v1/files", "/v1/absent", "/s3/multipart", "/-/absent"):
        response = files.request(
            target, method="POST", body=_BOMB, Content_Encoding=coding, X_API_Key=acme.secret_key
        )
        assert (response.status, response.json()["error"]["code"]) == (415, "common/unsupported-media-type")


def test_gateway_coded_put_is_415_and_identity_is_taken(acme: Tenant) -> None:
    presigned = acme.presign()
    target = "/" + presigned["url"].split("/", 3)[3]
    named = {name.replace("-", "_"): value for name, value in presigned["headers"].items()}
    coded = acme.server.request(target, method="PUT", body=_BOMB, Content_Encoding="gzip", **named)
    assert coded.status == 415
    presigned["headers"]["Content-Encoding"] = "identity"
    assert acme.put(presigned).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_edge_long_body_of_a_method_without_one_is_413_and_closes(edge: Attacked, method: str) -> None:
    with edge.connect() as wire:
        wire.send(head("/small.jpg", method=method, Content_Length=str(1024**3)) + bytes(1000))
        assert wire.response(method).status == 413
        assert wire.closed()


def test_edge_chunked_body_of_get_beyond_64_kib_closes_the_connection(edge: Attacked) -> None:
    with edge.connect() as wire:
        wire.send(head("/small.jpg", Transfer_Encoding="chunked") + 3 * _CHUNK)
        assert wire.response().status == 200
        assert wire.closed()


def test_edge_short_body_of_get_keeps_the_connection(edge: Attacked) -> None:
    with edge.connect() as wire:
        assert wire.request("/small.jpg", body=bytes(60_000)).status == 200
        assert wire.request("/small.jpg").status == 200


def test_cached_hits_do_not_wait_for_four_connections_that_send_for_ever(edge: Attacked) -> None:
    ended = threading.Event()

    def flood() -> None:
        while not ended.is_set():
            with edge.connect() as wire:
                wire.send(head("/small.jpg", Transfer_Encoding="chunked"))
                try:
                    while not ended.is_set():
                        wire.socket.sendall(_CHUNK)
                except OSError:
                    pass

    threads = [threading.Thread(target=flood) for _ in range(4)]
    edge.request("/small.jpg")
    for each in threads:
        each.start()
    try:
        slowest = 0.0
        for _ in range(20):
            begun = time.monotonic()
            assert edge.request("/small.jpg").status == 200
            slowest = max(slowest, time.monotonic() - begun)
    finally:
        ended.set()
        for each in threads:
            each.join()
    assert slowest < 1


@pytest.fixture
def slow(serve: Serve) -> Attacked:
    """A server that waits half a second for readers, with an image of some 6 MB."""
    server = serve(unregistered="public", write_timeout=0.5, max_side=4000)
    server.store("large.png", encoded(noise(1400, 1400), ".png"))
    assert len(server.request(_LARGE).body) > 5_000_000
    return server


_LARGE = "/filters:format(png)/large.png"


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _is_cut_off(wire: Wire) -> bool:
    """Wait, without reading, until the server has reset the connection."""
    poll = select.poll()
    poll.register(wire.socket, 0)  # POLLERR and POLLHUP alone
    return bool(poll.poll(10_000)) and len(wire.rest()) < 5_000_000


@pytest.mark.parametrize("body", [b"", b"x"], ids=["no body", "a body that nobody reads"])
def test_slow_readers_hold_one_buffer_and_are_closed(slow: Attacked, body: bytes) -> None:
    slow.request(_LARGE)
    before = _memory()
    with ExitStack() as stack:
        wires = [stack.enter_context(slow.connect(receive_buffer=4096)) for _ in range(40)]
        for each in wires:
            each.send(head(_LARGE, body=body))
            assert each.socket.recv(15) == b"HTTP/1.1 200 OK"
        assert _memory() - before < 60_000_000  # of 40 copies of 6 MB
        assert all(map(_is_cut_off, wires))
    assert slow.request("/large.png").status == 200


def test_reader_that_trickles_is_served(slow: Attacked) -> None:
    """A client that takes something every now and then is slow, and not dead."""
    with slow.connect(receive_buffer=4096) as wire:
        wire.send(head(_LARGE))
        for _ in range(15):
            assert wire.socket.recv(16_384)
            time.sleep(0.1)


def test_last_response_of_a_connection_is_bounded_too(slow: Attacked) -> None:
    with slow.connect(receive_buffer=4096) as wire:
        wire.send(head(_LARGE, Connection="close"))
        assert _is_cut_off(wire)


def test_idle_connections_at_256_descriptors_leave_room_for_visitors(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            server = stack.enter_context(serving(tmp_path))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        assert [server.get("/healthz")[0] for _ in range(5)] == [200] * 5
        assert server.get("/50x50/color:red")[0] == 200


def test_problem_of_a_coded_body_is_whole(edge: Attacked) -> None:
    response = edge.request("/small.jpg", method="POST", body=b"x", Content_Encoding="gzip")
    told = json.loads(response.body)
    assert told["detail"] == "a body without Content-Encoding is expected"
    assert told["request_id"] == response.headers["x-request-id"]
