"""`imgproxy purge`: purge source images from a running server."""

from __future__ import annotations

import argparse
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from imgproxy.cli.usage import UsageError
from imgproxy.image.source import Key, parse_key
from imgproxy.purge.endpoint import path_of
from imgproxy.settings import read

_SECONDS = 30


def run(asked: argparse.Namespace) -> int:
    """Send each key to the server, which alone can purge its memory."""
    secret = read().purge_secret
    if not secret:
        raise UsageError("IMGPROXY_PURGE_SECRET holds no secret; the server must have the same")
    _check(asked.server)
    for key in [parse_key(name) for name in asked.keys]:  # all of them before the first is purged
        _purge(asked.server, key, secret)
        print(f"purged {key}")
    return 0


def _purge(server: str, key: Key, secret: str) -> None:
    request = Request(  # noqa: S310  the operator's own server
        server.rstrip("/") + path_of(key), method="PURGE", headers={"Authorization": f"Bearer {secret}"}
    )
    try:
        urlopen(request, timeout=_SECONDS).close()  # noqa: S310
    except HTTPError as error:
        error.close()
        raise UsageError(f"{server} answers {error.code} to the purge of '{key}'") from error
    except HTTPException as error:
        raise UsageError(f"{server} does not answer as HTTP has it") from error
    except OSError as error:
        raise UsageError(f"{server} cannot be reached: {error}") from error


def _check(server: str) -> None:
    """Raise `UsageError` unless it is the URL of a server: `urlopen` would open files too."""
    try:
        url = urlsplit(server)
        fits = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(f"--server: http://HOST[:PORT] is expected, not '{server}'")
