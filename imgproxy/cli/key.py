"""`imgproxy key`: make and end keys of the files API."""

from __future__ import annotations

import argparse
import sys

import uvloop

from imgproxy import credentials
from imgproxy.cli.usage import UsageError
from imgproxy.files.model import TenantId
from imgproxy.settings import read


def create(asked: argparse.Namespace) -> int:
    """Print a new key, and its id beside it."""
    key, id_ = uvloop.run(credentials.create_key(read(), asked.kind, TenantId(asked.tenant)))
    print(key)
    print(f"its id is {id_}; the key itself is not kept anywhere: copy it now", file=sys.stderr)
    return 0


def revoke(asked: argparse.Namespace) -> int:
    """End a key."""
    if not uvloop.run(credentials.revoke_key(read(), asked.id, TenantId(asked.tenant))):
        raise UsageError(f"{asked.tenant} has no key '{asked.id}' that is not revoked")
    print(f"revoked {asked.id}")
    return 0
