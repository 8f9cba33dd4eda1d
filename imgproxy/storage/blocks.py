"""Bytes arrive in the pieces a network cuts; a disk and S3 want them in blocks.

Between the two lies one block and one piece, never the whole object.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator


async def blocks(chunks: AsyncIterator[bytes], *, size: int) -> AsyncGenerator[bytes, None]:
    """Regroup `chunks` into blocks of exactly `size` bytes; the last may be shorter, none is empty."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)
