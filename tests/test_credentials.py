"""The commands that make credentials, and end them."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import jwt
import pytest

from imgproxy.api.keys import sha256_of
from imgproxy.cli import main
from imgproxy.files.api_keys import ApiKeyStore
from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.model import ApiKey

SECRET = "a secret of at least thirty-two bytes"


@pytest.fixture(autouse=True)
def _deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPROXY_DATABASE", f"sqlite:///{tmp_path}/imgproxy.db")
    monkeypatch.setenv("IMGPROXY_JWT_SECRET", SECRET)


async def kept(tmp_path: Path, text: str) -> ApiKey | None:
    database = await open_database(SqliteUrl(tmp_path / "imgproxy.db"))
    try:
        return await ApiKeyStore(database).api_key(sha256_of(text))
    finally:
        await database.close()


def create(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    assert main(["key", "create", *arguments]) == 0
    told = capsys.readouterr()
    found = re.search(r"id is (\S+);", told.err)
    assert found is not None
    return told.out.strip(), found[1]


def test_a_key_is_printed_once_and_its_hash_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, id_ = create(capsys, "--kind", "sk", "--tenant", "acme")
    found = asyncio.run(kept(tmp_path, key))
    assert found is not None
    assert (found.id, found.tenant, found.kind) == (id_, "acme", "sk")
    assert re.fullmatch(r"sk_[0-9a-f]{64}", key)
    assert key[3:].encode() not in (tmp_path / "imgproxy.db").read_bytes()


def test_a_key_is_revoked_by_its_id_and_only_once(capsys: pytest.CaptureFixture[str]) -> None:
    _, id_ = create(capsys, "--kind", "pk")
    assert main(["key", "revoke", id_]) == 0
    assert main(["key", "revoke", id_]) == 2
    assert "no key" in capsys.readouterr().err


def test_a_token_names_its_user_for_as_long_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--sub", "olga", "--tenant", "acme", "--role", "editor", "--ttl", "2h"]) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["tenant"], claims["role"]) == ("olga", "acme", "editor")
    assert claims["exp"] - claims["iat"] == 7200
    assert claims["iat"] <= time.time()


def test_without_a_secret_there_is_nothing_to_sign_with(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMGPROXY_JWT_SECRET")
    assert main(["token", "--sub", "olga"]) == 2
    assert "IMGPROXY_JWT_SECRET" in capsys.readouterr().err
