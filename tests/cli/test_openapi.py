"""`imgproxy openapi`."""

from __future__ import annotations

import json

import pytest

from imgproxy.api.openapi import document
from imgproxy.api.registry import GROUPS
from imgproxy.cli import main


def test_the_openapi_is_printed_as_it_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["openapi"]) == 0
    told = capsys.readouterr().out
    assert json.loads(told) == document(GROUPS)
    assert "…" in told  # readable as it stands
