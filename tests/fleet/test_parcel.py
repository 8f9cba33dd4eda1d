"""What is too long for a message arrives whole, and leaves nothing open."""

from __future__ import annotations

import asyncio
import os

import pytest

from imgproxy.fleet import parcel
from tests.fleet.processes import descriptors

LONG = 3 * 1024 * 1024


@pytest.mark.parametrize(("size", "small"), [(0, True), (1024 * 1024, True), (LONG, False)])
async def test_what_was_packed_is_unpacked_and_closed(size: int, small: bool) -> None:
    await asyncio.to_thread(str)
    before = descriptors()
    packed = await parcel.pack(os.urandom(size % 7) + bytes(size - size % 7))
    assert parcel.is_small(packed) == small
    assert len(parcel.unpack(packed)) == size
    assert descriptors() == before


async def test_packing_that_is_given_up_leaves_nothing_open() -> None:
    await asyncio.to_thread(str)
    before = descriptors()
    packing = asyncio.create_task(parcel.pack(bytes(LONG)))
    await asyncio.sleep(0)
    packing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await packing
    async with asyncio.timeout(10):
        while descriptors() != before:  # noqa: ASYNC110  a thread ends by itself
            await asyncio.sleep(0.001)
