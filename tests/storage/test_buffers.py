"""Buffers of object bytes: sealed memory, and blocks of equal size."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.errors import SourceTooLarge
from imgproxy.storage import Head
from imgproxy.storage.buffers import Memfd, blocks

HEAD = Head(10, "version", 0.0)


def test_nobody_can_change_it_even_by_opening_it_anew() -> None:
    with closing(Memfd(limit=10)) as memfd:
        memfd.write(b"0123456789")
        original = memfd.finish(HEAD)
    with original:
        writing = os.open(f"/proc/self/fd/{original.descriptor}", os.O_RDWR)
        for attempt in (lambda: os.write(writing, b"x"), lambda: os.ftruncate(writing, 0)):
            with pytest.raises(PermissionError):
                attempt()
        os.close(writing)
        assert os.read(original.descriptor, 100) == b"0123456789"


def test_limit_is_counted_over_all_that_comes() -> None:
    with closing(Memfd(limit=10)) as memfd:
        memfd.write(b"01234")
        memfd.write(b"56789")
        with pytest.raises(SourceTooLarge, match="10 bytes"):
            memfd.write(b"x")
        assert memfd.size == 11


def test_it_is_not_inherited_by_other_programs() -> None:
    with closing(Memfd(limit=1)) as memfd, memfd.finish(HEAD) as original:
        assert not os.get_inheritable(memfd._descriptor)
        assert not os.get_inheritable(original.descriptor)


async def cut(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def regrouped(pieces: list[bytes], size: int) -> list[bytes]:
    return [block.read() async for block in blocks(cut(pieces), size=size)]


@given(st.lists(st.binary(max_size=50)), st.integers(min_value=1, max_value=40))
def test_nothing_is_lost_and_all_but_the_last_are_full(pieces: list[bytes], size: int) -> None:
    found = asyncio.run(regrouped(pieces, size))
    assert b"".join(found) == b"".join(pieces)
    assert all(len(block) == size for block in found[:-1])
    assert all(0 < len(block) <= size for block in found)
