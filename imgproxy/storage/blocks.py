"""Bytes arrive in the pieces a network cuts; a disk and S3 want them in blocks.

Between the two lies one block and one piece, never the whole object; each byte is copied once, when it comes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from io import BytesIO


async def blocks(chunks: AsyncIterator[bytes], *, size: int) -> AsyncGenerator[BytesIO, None]:
    """Regroup `chunks` into blocks of exactly `size` bytes, each to be read from its beginning.

    The last may be shorter, none is empty.
    """
    block = BytesIO()
    async for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            room = size - block.tell()
            block.write(rest[:room])
            rest = rest[room:]
            if block.tell() == size:
                block.seek(0)
                yield block
                block = BytesIO()
    if block.tell():
        block.seek(0)
        yield block
