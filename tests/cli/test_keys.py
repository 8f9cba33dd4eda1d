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


def create_of_acme(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What goes where a script reads, and what a person is told beside it."""
    assert main(["key", "create", "--kind", "pk", "--tenant", "acme"]) == 0
    told = capsys.readouterr()
    return told.out, told.err


def test_the_key_alone_is_what_a_script_reads(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = create_of_acme(capsys)
    assert (out[:3], out.count("\n"), len(out.split())) == ("pk_", 1, 1)
    assert out.strip() not in err
    assert "not kept anywhere" in err


def test_a_key_that_was_revoked_is_said_so_and_another_tenant_s_is_not_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    id_ = create_of_acme(capsys)[1].split()[3].rstrip(";")
    assert main(["key", "revoke", id_, "--tenant", "other"]) == 2
    assert capsys.readouterr().err == f"imgproxy: other has no key '{id_}' that is not revoked\n"
    assert main(["key", "revoke", id_, "--tenant", "acme"]) == 0
    assert capsys.readouterr().out == f"revoked {id_}\n"


@pytest.mark.parametrize("arguments", [["create"], ["create", "--kind", "xk"], ["revoke"], []])
def test_what_is_not_said_of_a_key_is_asked_for(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["key", *arguments])
    assert (ended.value.code, "usage: imgproxy key" in capsys.readouterr().err) == (2, True)


def test_the_token_and_nothing_else_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--sub", "olga"]) == 0
    out, err = capsys.readouterr()
    claims = jwt.decode(out.removesuffix("\n"), SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["exp"] - claims["iat"], err) == ("olga", 3600, "")
    assert (claims["tenant"], "role" in claims) == ("default", False)  # the tenant of `key create`


@pytest.mark.parametrize(("ttl", "seconds"), [("90s", 90), ("2h", 7200), ("0.1s", 1)])
def test_it_holds_for_as_long_as_asked_and_a_second_at_least(
    capsys: pytest.CaptureFixture[str], ttl: str, seconds: int
) -> None:
    assert main(["token", "--sub", "olga", "--ttl", ttl]) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == seconds


@pytest.mark.parametrize("ttl", ["soon", "", "-1h", "nan"])
def test_a_time_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], ttl: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["token", "--sub", "olga", f"--ttl={ttl}"])
    assert ended.value.code == 2
    assert "a duration such as" in capsys.readouterr().err
