"""`imgproxy key` and `imgproxy token`: create and revoke API keys, sign tokens."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Literal

import uvloop

from imgproxy.api.keys import draw_key, sha256_of
from imgproxy.api.token import issue
from imgproxy.cli.usage import UsageError
from imgproxy.files.api_keys import ApiKeyStore
from imgproxy.files.database import Database, open_database
from imgproxy.files.id_generator import uuid7
from imgproxy.files.model import TenantId
from imgproxy.files_api import milliseconds, trust
from imgproxy.settings import Settings, SettingsError, read


async def create_key(settings: Settings, kind: Literal["pk", "sk"], tenant: TenantId) -> tuple[str, str]:
    """Create a key; return it, which is stored as a hash only, and its id."""
    database = await _ready(settings)
    try:
        key, now = draw_key(kind, draw=os.urandom), milliseconds()
        id_ = uuid7(now, os.urandom)
        await ApiKeyStore(database).add(id_=id_, tenant=tenant, kind=kind, sha256=sha256_of(key), now=now)
        return key, id_
    finally:
        await database.close()


async def revoke_key(settings: Settings, id_: str, tenant: TenantId) -> bool:
    """End a key; running servers refuse it within seconds. Return whether it was there."""
    database = await _ready(settings)
    try:
        return await ApiKeyStore(database).revoke(tenant, id_, now=milliseconds())
    finally:
        await database.close()


async def _ready(settings: Settings) -> Database:
    database = await open_database(settings.database)
    await database.migrate()
    return database


def make_token(settings: Settings, *, user: str, seconds: int, tenant: str | None, role: str | None) -> str:
    """A user's token, by the deployment's own secret."""
    if not settings.jwt_secret:
        raise SettingsError("IMGPROXY_JWT_SECRET: a secret is expected to sign with")
    now = milliseconds() // 1000
    return issue(trust(settings), user=user, now=now, seconds=seconds, tenant=tenant, role=role)


def create(asked: argparse.Namespace) -> int:
    """Print a new key, and its id beside it."""
    key, id_ = uvloop.run(create_key(read(), asked.kind, TenantId(asked.tenant)))
    print(key)
    print(f"its id is {id_}; the key itself is not kept anywhere: copy it now", file=sys.stderr)
    return 0


def revoke(asked: argparse.Namespace) -> int:
    """End a key."""
    if not uvloop.run(revoke_key(read(), asked.id, TenantId(asked.tenant))):
        raise UsageError(f"{asked.tenant} has no key '{asked.id}' that is not revoked")
    print(f"revoked {asked.id}")
    return 0


def token(asked: argparse.Namespace) -> int:
    """Print the token."""
    print(make_token(read(), user=asked.sub, seconds=asked.ttl, tenant=asked.tenant, role=asked.role))
    return 0
