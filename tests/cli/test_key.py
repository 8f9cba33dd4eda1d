"""`imgproxy key`; what is kept of a key is promised in `tests.test_credentials`."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgproxy.cli import main


@pytest.fixture(autouse=True)
def _deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPROXY_DATABASE", f"sqlite:///{tmp_path}/imgproxy.db")


def create(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What goes where a script reads, and what a person is told beside it."""
    assert main(["key", "create", "--kind", "pk", "--tenant", "acme"]) == 0
    told = capsys.readouterr()
    return told.out, told.err


def test_the_key_alone_is_what_a_script_reads(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = create(capsys)
    assert (out[:3], out.count("\n"), len(out.split())) == ("pk_", 1, 1)
    assert out.strip() not in err
    assert "not kept anywhere" in err


def test_a_key_that_was_revoked_is_said_so_and_another_tenant_s_is_not_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    id_ = create(capsys)[1].split()[3].rstrip(";")
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
