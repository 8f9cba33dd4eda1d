"""`imgproxy token`: a user's bearer token."""

from __future__ import annotations

import argparse

from imgproxy import credentials
from imgproxy.settings import read


def run(asked: argparse.Namespace) -> int:
    """Print the token."""
    print(
        credentials.make_token(
            read(), user=asked.sub, seconds=asked.ttl, tenant=asked.tenant, role=asked.role
        )
    )
    return 0
