"""Nobody has more pictures made at once than his concurrency."""

from __future__ import annotations

import pytest

from imgproxy.edge.client_concurrency import ClientConcurrency
from imgproxy.errors import RateLimited


def test_a_client_has_as_many_at_once_as_it_may() -> None:
    concurrency = ClientConcurrency(2)
    with concurrency.slot("a"), concurrency.slot("a"):
        with pytest.raises(RateLimited), concurrency.slot("a"):
            pass
        with concurrency.slot("b"):
            pass


def test_what_has_ended_counts_no_more_however_it_ended() -> None:
    concurrency = ClientConcurrency(1)
    for _ in range(3):
        with pytest.raises(KeyError), concurrency.slot("a"):
            raise KeyError
    with concurrency.slot("a"):
        pass


def test_nobody_is_remembered_who_waits_for_nothing() -> None:
    concurrency = ClientConcurrency(1)
    with concurrency.slot("a"):
        pass
    assert not concurrency._waiting


def test_nought_is_any_number() -> None:
    concurrency = ClientConcurrency()
    with concurrency.slot("a"), concurrency.slot("a"), concurrency.slot("a"):
        assert not concurrency._waiting
