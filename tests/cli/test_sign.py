"""`imgproxy sign`."""

from __future__ import annotations

from pathlib import Path

from imgproxy.dialects.signature import Signer
from tests.cli.program import run


def test_sign_prints_a_url_that_verifies(tmp_path: Path) -> None:
    done = run("sign", "/fit-in/300x200/photo.jpg", cwd=tmp_path, SIGNING_SECRETS="new-secret,old-secret")
    _, signature, path = done.stdout.strip().split("/", 2)
    assert path == "fit-in/300x200/photo.jpg"
    assert Signer(("new-secret",)).verify(signature, path)


def test_sign_without_a_secret_says_what_is_missing(tmp_path: Path) -> None:
    done = run("sign", "photo.jpg", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "imgproxy: IMGPROXY_SIGNING_SECRETS holds no secret to sign with\n"
