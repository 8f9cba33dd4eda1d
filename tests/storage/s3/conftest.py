"""What tests of S3 can ask for."""

from __future__ import annotations

from functools import cache

import pytest
from aiobotocore.session import AioSession
from botocore.loaders import Loader


@cache
def _loader() -> Loader:
    return Loader()


@pytest.fixture
def quick_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all clients share the description of S3: reading it takes most of the 0.1 s that one takes."""

    def session() -> AioSession:
        made = AioSession()
        made.register_component("data_loader", _loader())
        return made

    monkeypatch.setattr("imgproxy.storage.s3.client.get_session", session)
