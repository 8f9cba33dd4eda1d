"""Parsers of what clients send, fed by a fuzzer that is guided by coverage (atheris, libFuzzer).

    python -m tests.soak.fuzz url CORPUS [libFuzzer's flags]

Anything but a value or one of the project's errors that blame the client ends the fuzzing, and so does an
input that takes a second. The input is left in a file that a second run takes as its argument.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import sys
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["imgproxy", "jwt", "aiohttp.multipart"]):
    from aiohttp import StreamReader
    from aiohttp.base_protocol import BaseProtocol
    from aiohttp.test_utils import make_mocked_request

    from imgproxy.api import form
    from imgproxy.api.token import Tokens, Trust
    from imgproxy.dialects import Grammar
    from imgproxy.errors import AuthenticationRequired, BodyTooLarge, FilesError, InvalidRequest, RequestError
    from imgproxy.files.cursor import Sort, decode, encode
    from imgproxy.http.ranges import OutOfRange, requested
    from imgproxy.image.formats import Format
    from imgproxy.image.negotiate import negotiate

_SECRET = "a secret of at least thirty-two bytes"
_LOOP = asyncio.new_event_loop()
_SIZE = 1000


class _Fingerprint:
    """Takes digests."""

    def add(self, digest: bytes) -> None:
        pass


def url(data: bytes) -> None:
    """Read a request target, as aiohttp hands it on, and its unescaped form."""
    target = "/" + data.decode("utf-8", "surrogateescape")
    grammar = Grammar()
    for each in (target, grammar.unescaped(target)):
        if each is not None:
            with suppress(RequestError):
                grammar.read(each).transform.canonical()


def token(data: bytes) -> None:
    """Read a token as it is, and one with these bytes as claims under a right signature."""
    tokens = Tokens(Trust(_SECRET, tenant_claim="org.id"), clock=lambda: 1_800_000_000.0)
    claims = b"eyJhbGciOiJIUzI1NiJ9." + base64.urlsafe_b64encode(data).rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(_SECRET.encode(), claims, sha256)).rstrip(b"=")
    for text in (data.decode("latin-1"), f"{claims.decode()}.{signature.decode()}"):
        with suppress(AuthenticationRequired):
            _LOOP.run_until_complete(tokens.read(text))


def accept(data: bytes) -> None:
    """Negotiate a type, of those that there are."""
    automatic = (Format.AVIF, Format.WEBP)
    output = negotiate(None, data.decode("latin-1"), automatic=automatic)
    assert set(output.candidates) <= set(automatic)


def byte_range(data: bytes) -> None:
    """Read a Range; what is found lies in the object."""
    with suppress(OutOfRange):
        span = requested(data.decode("latin-1"), _SIZE)
        assert span is None or 0 <= span.start < span.end <= _SIZE


def cursor(data: bytes) -> None:
    """Read a cursor, these bytes and what they are in base64; a cursor that is read is written the same."""
    for text in (data.decode("latin-1"), base64.urlsafe_b64encode(data).decode().rstrip("=")):
        for sort in Sort:
            with suppress(InvalidRequest):
                place = decode(text, sort=sort, descending=True)
                again = encode(place, sort=sort, descending=True)
                assert decode(again, sort=sort, descending=True) == place


def whole_form(data: bytes) -> None:
    """Read a form to its end, for its file and its fields."""
    boundary, _, body = data.partition(b"\n")
    _LOOP.run_until_complete(_form(boundary.decode("latin-1"), body))


async def _form(boundary: str, body: bytes) -> None:
    kind = f"multipart/form-data; boundary={boundary or 'x'}"
    http = make_mocked_request("POST", "/v1/files", {"Content-Type": kind}, payload=_stream(body))
    with suppress(FilesError, BodyTooLarge):
        read = await form.Form.open(http, _Fingerprint())  # type: ignore[arg-type]
        async for _ in read.chunks():
            pass
        read.details()


def _stream(body: bytes) -> StreamReader:
    stream = StreamReader(BaseProtocol(_LOOP), 2**20, loop=_LOOP)
    stream.feed_data(body)
    stream.feed_eof()
    return stream


TARGETS: dict[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]] = {
    "url": (
        url,
        (
            b"fit-in/300x200/filters:quality(80):watermark(a.png,-10,10p,50,20,20)/a/photo.jpg",
            b"unsafe/meta/trim:top-left:20/10x10:90x90/-300x-200/left/smart/filters:fill(blur)/b64:YS5qcGc",
            b"photo.jpg?w=300&h=200&fit=cover&filters=blur(4)&preset=card",
            b"params/E/full-fit-in/stretch/color:ff0000",
        ),
    ),
    "token": (
        token,
        (
            b'{"sub":"olga","exp":1900000000,"nbf":0,"org":{"id":"acme"},"groups":["a"],"role":"x"}',
            b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJvbGdhIn0.",
        ),
    ),
    "accept": (accept, (b"image/avif;q=0.9,image/webp;q=1.0,image/*,*/*;q=0.1", b"*/*;q=0")),
    "range": (byte_range, (b"bytes=0-99", b"bytes=-5", b"bytes=900-", b"bytes=0-1,3-4")),
    "cursor": (cursor, (b'["createdAt",1,1790000000000,"0199"]', b'["originalName",1,"cat.jpg","0199"]')),
    "form": (
        whole_form,
        (
            b'x\n--x\r\nContent-Disposition: form-data; name="category"\r\n\r\nimages\r\n'
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
            b"Content-Type: image/jpeg\r\n\r\nbytes\r\n"
            b'--x\r\nContent-Disposition: form-data; name="tags"\r\n\r\n["a"]\r\n--x--\r\n',
        ),
    ),
}


def main() -> None:
    name, corpus, *flags = sys.argv[1:]
    target, seeds = TARGETS[name]
    folder = Path(corpus)
    folder.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / f"seed{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, "-timeout=1", "-rss_limit_mb=1024", *flags], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
