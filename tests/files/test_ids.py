"""Promises of `imgproxy.files.ids`."""

from __future__ import annotations

import os
import uuid

from hypothesis import given
from hypothesis import strategies as st

from imgproxy.files.ids import drawn_at, uuid7

_TIMES = st.integers(0, 2**48 - 1)


@given(now=_TIMES, drawn=st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_of_version_7_that_tells_when_it_was_drawn(now: int, drawn: bytes) -> None:
    made = uuid7(now, lambda count: drawn[:count])
    assert (uuid.UUID(made).version, uuid.UUID(made).variant) == (7, uuid.RFC_4122)
    assert drawn_at(made) == now


@given(now=_TIMES, later=_TIMES)
def test_ids_sort_by_when_they_were_drawn(now: int, later: int) -> None:
    earlier, last = sorted((now, later))
    if earlier != last:
        assert uuid7(earlier, os.urandom) < uuid7(last, os.urandom)


@given(one=st.binary(min_size=10, max_size=10), other=st.binary(min_size=10, max_size=10))
def test_74_of_the_drawn_bits_count(one: bytes, other: bytes) -> None:
    def bits(drawn: bytes) -> int:
        return int.from_bytes(drawn, "big") & (1 << 74) - 1

    same = uuid7(0, lambda _: one) == uuid7(0, lambda _: other)
    assert same == (bits(one) == bits(other))
