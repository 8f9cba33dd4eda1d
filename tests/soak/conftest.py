"""What every campaign can ask for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.edge.conftest import make_edge as make_edge

Tell = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Say how far a campaign has come, to whoever waits for it."""

    def say(words: str) -> None:
        with capsys.disabled():
            print(f"\n  {words}", end="", flush=True)

    return say
