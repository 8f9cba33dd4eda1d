"""`imgproxy token`; what a token says is promised in `tests.test_credentials`."""

from __future__ import annotations

import jwt
import pytest

from imgproxy.cli import main

SECRET = "a secret of at least thirty-two bytes"


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPROXY_JWT_SECRET", SECRET)


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
