"""Calls of the files API as its clients make them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping

WISH = {"filename": "cat.png", "contentType": "image/png", "visibility": "public"}
"""What is said of a picture before it is uploaded."""


def make_key(settings: Mapping[str, str]) -> str:
    """A secret key, made by the command that operators use."""
    command = [sys.executable, "-m", "imgproxy", "key", "create", "--kind", "sk"]
    environment = {**os.environ, **settings}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return next(word for word in said.split() if word.startswith("sk_"))


def register(base: str, key: str, body: bytes) -> dict[str, object]:
    """The record of a public picture that was uploaded as clients do it."""
    url = _ask(f"{base}/v1/files/presigned-url", key, WISH)
    headers = {str(name): str(value) for name, value in dict(url["headers"]).items()}  # type: ignore[call-overload]
    put = urllib.request.Request(str(url["url"]), data=body, method="PUT", headers=headers)  # noqa: S310
    urllib.request.urlopen(put).close()  # noqa: S310  our own server
    given = {"s3Key": url["key"], "originalName": "cat.png", "mimeType": "image/png", "size": len(body)}
    return _ask(f"{base}/v1/files", key, given)


def _ask(url: str, key: str, given: Mapping[str, object]) -> dict[str, object]:
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    asked = urllib.request.Request(url, data=json.dumps(given).encode(), headers=headers)  # noqa: S310
    with urllib.request.urlopen(asked) as answer:  # noqa: S310  our own server
        found: dict[str, object] = json.loads(answer.read())
    return found
