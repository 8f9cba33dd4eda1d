"""Every promise about what runs on an event loop is kept on both loops."""

from tests.engine.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
