"""Requests that two parsers could read differently: one response at most, and the connection ends.

Each is followed on its connection by a request that only a wrong reading would see. A proxy in front would
take that one's response for somebody else's.
"""

from __future__ import annotations

import pytest

from tests.attack.server import Attacked

HIDDEN = b"GET /fit-in/20x20/small.jpg HTTP/1.1\r\nHost: img.example\r\n\r\n"
HOST = b"Host: img.example\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def post(headers: bytes, body: bytes = b"", *, line: bytes = b"POST /v1/files HTTP/1.1\r\n") -> bytes:
    return line + HOST + headers + b"\r\n" + body


def get(headers: bytes = b"", *, line: bytes = b"GET /small.jpg HTTP/1.1\r\n") -> bytes:
    return line + HOST + headers + b"\r\n"


MALFORMED = {
    "CL and TE": post(b"Content-Length: 6\r\n" + CHUNKED, b"0\r\n\r\n"),
    "TE and CL": post(CHUNKED + b"Content-Length: 4\r\n", b"0\r\n\r\n"),
    "two lengths": post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"),
    "the same length twice": post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"),
    "length a list": post(b"Content-Length: 5, 6\r\n", b"hello"),
    "length with plus": post(b"Content-Length: +5\r\n", b"hello"),
    "length negative": post(b"Content-Length: -1\r\n", b"hello"),
    "length in hex": post(b"Content-Length: 0x5\r\n", b"hello"),
    "length with space": post(b"Content-Length: 5 0\r\n", b"hello"),
    "length with underscore": post(b"Content-Length: 1_0\r\n", b"hello"),
    "length in other digits": post("Content-Length: ５\r\n".encode(), b"hello"),
    "length a fraction": post(b"Content-Length: 5.0\r\n", b"hello"),
    "length of 10**400": post(b"Content-Length: 1" + b"0" * 400 + b"\r\n", b"hello"),
    "length empty": post(b"Content-Length:\r\n", b"hello"),
    "space before colon of TE": post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    "space before colon of CL": post(b"Content-Length : 5\r\n", b"hello"),
    "TE unknown": post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    "TE identity and chunked": post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"),
    "TE chunked twice": post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"),
    "TE in two lines": post(CHUNKED + CHUNKED, b"0\r\n\r\n"),
    "TE in two lines, one unknown": post(CHUNKED + b"Transfer-Encoding: cow\r\n", b"0\r\n\r\n"),
    "TE quoted": post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"),
    "TE with vertical tab": post(b"Transfer-Encoding:\x0bchunked\r\n", b"0\r\n\r\n"),
    "TE empty": post(b"Transfer-Encoding:\r\n", b"0\r\n\r\n"),
    "TE of HTTP/1.0": post(CHUNKED, b"0\r\n\r\n", line=b"POST /v1/files HTTP/1.0\r\n"),
    "folded TE": post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    "folded header": get(b"X-A: b\r\n\tc\r\n"),
    "folded first header": b"GET /small.jpg HTTP/1.1\r\n " + HOST + b"\r\n",
    "header without colon": get(b"X-A\r\n"),
    "header without name": get(b": x\r\n"),
    "NUL in a name": get(b"X\x00A: b\r\n"),
    "NUL in a value": get(b"X-A: b\x00c\r\n"),
    "CR in a value": get(b"X-A: b\rc\r\n"),
    "space in a name": get(b"X A: b\r\n"),
    "bracket in a name": get(b"X(A): b\r\n"),
    "letter outside ASCII in a name": get("X-Ä: b\r\n".encode()),
    "chunk size in words": post(CHUNKED, b"zz\r\n\r\n"),
    "chunk size negative": post(CHUNKED, b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with 0x": post(CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with plus": post(CHUNKED, b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with underscore": post(CHUNKED, b"0_5\r\nhello\r\n0\r\n\r\n"),
    "chunk size of 2**64": post(CHUNKED, b"1" + b"0" * 16 + b"\r\nhello\r\n0\r\n\r\n"),
    "chunk with too many bytes": post(CHUNKED, b"5\r\nhellohello\r\n0\r\n\r\n"),
    "chunk ended by LF": post(CHUNKED, b"5\r\nhello\n0\r\n\r\n"),
    "chunk size ended by LF": post(CHUNKED, b"5\nhello\r\n0\r\n\r\n"),
    "chunk extension with LF": post(CHUNKED, b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "trailer without colon": post(CHUNKED, b"0\r\nX\r\n\r\n"),
    "two hosts": get(b"Host: other.example\r\n"),
    "no host": b"GET /small.jpg HTTP/1.1\r\n\r\n",
    "lines ended by LF": b"GET /small.jpg HTTP/1.1\nHost: img.example\n\n",
    "one line ended by LF": b"GET /small.jpg HTTP/1.1\r\nHost: img.example\nX-A: b\r\n\r\n",
    "lines ended by CR": b"GET /small.jpg HTTP/1.1\rHost: img.example\r\r",
    "space in the target": get(line=b"GET /small.jpg /x HTTP/1.1\r\n"),
    "tab in the target": get(line=b"GET /small.jpg\tx HTTP/1.1\r\n"),
    "control character in the target": get(line=b"GET /small\x01.jpg HTTP/1.1\r\n"),
    "no version": get(line=b"GET /small.jpg\r\n"),
    "version 0.9": get(line=b"GET /small.jpg HTTP/0.9\r\n"),
    "version 2.0": get(line=b"GET /small.jpg HTTP/2.0\r\n"),
    "version 1.10": get(line=b"GET /small.jpg HTTP/1.10\r\n"),
    "version in lower case": get(line=b"GET /small.jpg http/1.1\r\n"),
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "method with brackets": get(line=b"GE(T /small.jpg HTTP/1.1\r\n"),
    "method outside ASCII": get(line="GÉT /small.jpg HTTP/1.1\r\n".encode()),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300) + b"\r\n\r\n",
    "bytes": bytes(range(256)) + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_request_gets_one_response_and_the_connection_ends(edge: Attacked, name: str) -> None:
    with edge.connect() as wire:
        response = wire.send(MALFORMED[name] + HIDDEN * 2).response()
        assert response.status in (400, 401, 404, 405, 411, 413, 414, 415, 431, 501, 505), response
        left = wire.rest()
    assert b"\xff\xd8" not in response.body + left
    assert b"HTTP/1." not in left


BODIES = {
    "GET with a length": get(b"Content-Length: %d\r\n" % len(HIDDEN)) + HIDDEN,
    "GET in chunks": get(CHUNKED) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN),
    "HEAD with a length": get(b"Content-Length: %d\r\n" % len(HIDDEN), line=b"HEAD /small.jpg HTTP/1.1\r\n")
    + HIDDEN,
    "POST with a length": post(b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN),
    "POST with trailers": post(CHUNKED, b"0\r\nContent-Length: 0\r\nHost: x\r\n\r\n"),
    "POST in chunks with an extension": post(CHUNKED, b'5;a="0\\r\\n"\r\nhello\r\n0\r\n\r\n'),
    "POST with a cold Expect": post(b"Content-Length: %d\r\nExpect: 100-continue\r\n" % len(HIDDEN), HIDDEN),
    "chunk size of many digits": post(CHUNKED, b"0" * 40_000 + b"5\r\nhello\r\n0\r\n\r\n"),
    "chunk extension of 64 KiB": post(CHUNKED, b"5;" + b"a" * 65_536 + b"\r\nhello\r\n0\r\n\r\n"),
    "PUT of no signed URL": post(
        b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN, line=b"PUT /-/key HTTP/1.1\r\n"
    ),
    "GET that upgrades": get(b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n"),
    "GET that upgrades to a socket": get(
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"
    ),
    "CONNECT": get(line=b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n"),
}


@pytest.mark.parametrize("name", BODIES)
def test_body_is_never_read_as_a_request(edge: Attacked, name: str) -> None:
    """After the response the connection ends, or goes on with the request that follows the body."""
    with edge.connect() as wire:
        marker = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        wire.send(BODIES[name] + marker)
        method = "HEAD" if name.startswith("HEAD") else "GET"
        first = wire.response(method)
        left = wire.rest()
    assert first.status in (200, 400, 401, 403, 404, 405, 413, 415, 417)
    assert left.count(b"HTTP/1.1 ") <= 1
    assert b"image/jpeg" not in left


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.0", "h2c, websocket"])
def test_upgrade_is_declined_and_ends_the_connection(edge: Attacked, protocol: str) -> None:
    """The next request may have come with it and be lost: its client must see that, and send it again."""
    upgrade = get(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % protocol.encode())
    for following in (b"", HIDDEN, HIDDEN * 50, b"x" * 100_000):
        with edge.connect() as wire:
            assert wire.send(upgrade + following).response().status == 200
            assert wire.closed()


def test_absolute_target_and_host_do_not_make_a_request_another_origins(edge: Attacked) -> None:
    plain = edge.request("/fit-in/30x30/small.jpg")
    absolute = edge.request("http://other.example/fit-in/30x30/small.jpg", X_Forwarded_Host="evil.example")
    assert absolute.headers["etag"] == plain.headers["etag"]
    assert "evil" not in str(absolute.headers)


def test_pipelined_requests_are_answered_in_their_order(edge: Attacked) -> None:
    targets = [f"/fit-in/{size}x{size}/small.jpg" for size in (31, 32, 33)] + ["/absent.jpg", "/healthz"]
    with edge.connect() as wire:
        wire.send(b"".join(f"GET {each} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for each in targets))
        piped = [wire.response() for _ in targets]
    for target, response in zip(targets, piped, strict=True):
        assert response.body[:64] == edge.request(target).body[:64] or response.status == 404
