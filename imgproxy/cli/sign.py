"""`imgproxy sign`: a signed URL path. Imports nothing of the server: scripts call it once a picture."""

from __future__ import annotations

import argparse

from imgproxy.cli.usage import UsageError
from imgproxy.settings import read


def run(asked: argparse.Namespace) -> int:
    """Print the path, signed by the first secret."""
    signer = read().signer
    if signer is None:
        raise UsageError("IMGPROXY_SIGNING_SECRETS holds no secret to sign with")
    path = asked.path.removeprefix("/").removeprefix("unsafe/")
    print(f"/{signer.sign(path)}/{path}")
    return 0
