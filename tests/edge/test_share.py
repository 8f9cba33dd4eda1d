"""Nobody has more pictures made at once than his share."""

from __future__ import annotations

import pytest

from imgproxy.edge.share import Share
from imgproxy.errors import RateLimited


def test_a_client_has_as_many_at_once_as_it_may() -> None:
    share = Share(2)
    with share.taken("a"), share.taken("a"):
        with pytest.raises(RateLimited), share.taken("a"):
            pass
        with share.taken("b"):
            pass


def test_what_has_ended_counts_no_more_however_it_ended() -> None:
    share = Share(1)
    for _ in range(3):
        with pytest.raises(KeyError), share.taken("a"):
            raise KeyError
    with share.taken("a"):
        pass


def test_nobody_is_remembered_who_waits_for_nothing() -> None:
    share = Share(1)
    with share.taken("a"):
        pass
    assert not share._waiting


def test_nought_is_any_number() -> None:
    share = Share()
    with share.taken("a"), share.taken("a"), share.taken("a"):
        assert not share._waiting
