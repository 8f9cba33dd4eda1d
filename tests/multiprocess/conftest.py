"""Tests of this folder run on both event loops."""

from tests.engine.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
