"""However bytes are cut when they come, they leave in blocks of one size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from imgproxy.storage.blocks import blocks


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
