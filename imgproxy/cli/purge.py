"""`imgproxy purge`: have a running server forget originals."""

from __future__ import annotations

import argparse
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from imgproxy.cli.usage import UsageError
from imgproxy.edge.purge import path_of
from imgproxy.image.source import parse_key
from imgproxy.settings import read

_SECONDS = 30


def run(asked: argparse.Namespace) -> int:
    """Ask the server, which alone can forget what it has in memory."""
    secret = read().purge_secret
    if not secret:
        raise UsageError("IMGPROXY_PURGE_SECRET holds no secret; the server must have the same")
    for name in asked.keys:
        request = Request(  # noqa: S310  the operator's own server
            asked.server.rstrip("/") + path_of(parse_key(name)),
            method="PURGE",
            headers={"Authorization": f"Bearer {secret}"},
        )
        try:
            with urlopen(request, timeout=_SECONDS):  # noqa: S310
                print(f"purged {name}")
        except HTTPError as error:
            raise UsageError(f"{asked.server} answers {error.code} to the purge of '{name}'") from error
        except OSError as error:
            raise UsageError(f"{asked.server} cannot be reached: {error}") from error
    return 0
