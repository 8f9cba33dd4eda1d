"""What clients of a storage of our own come with; `storage` is each module's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.storage.contract import Browser
from tests.storage.served import Depot, served


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a folder has its objects; nobody has made it yet."""
    return tmp_path / "objects"


@pytest.fixture
async def browser(storage: Depot) -> AsyncIterator[Browser]:
    """A browser before the gateway of the storage."""
    async with served(storage) as browser:
        yield browser
