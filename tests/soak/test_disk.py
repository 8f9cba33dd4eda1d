"""The tier on disk stays within its bytes, counted by walking the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pictures
from tests.soak.conftest import Tell
from tests.soak.load import Reply, drive
from tests.soak.server import Server, real_bytes

_CAP = 8 * 1024**2
_TIMES = 5


@pytest.mark.soak
async def test_five_times_its_size_leaves_it_within_its_size(tmp_path: Path, tell: Tell) -> None:
    server = Server(tmp_path, IMGPROXY_CACHE_BYTES=str(_CAP), IMGPROXY_MEMORY_BYTES="1MiB")
    (server.objects / "noise.png").write_bytes(pictures.encoded(pictures.noise(400, 300)))
    written, largest, failed = 0, 0, []

    def hear(target: str, reply: Reply) -> None:
        nonlocal written, largest
        written += len(reply.body)
        if reply.status != 200:
            failed.append(target)

    try:
        server.start()
        width = 40
        while written < _TIMES * _CAP:
            targets = [f"/{width}x{height}/filters:format(png)/noise.png" for height in range(20, 300, 2)]
            await drive(server.client.port, iter(targets), hear)
            largest = max(largest, real_bytes(server.cache))
            width += 1
            tell(f"{written:,} bytes made, {real_bytes(server.cache):,} on disk")
        server.stop()
    finally:
        server.kill()
    kept = real_bytes(server.cache)
    tell(f"at most {largest:,} and at last {kept:,} of {_CAP:,} bytes")
    assert failed == []
    assert _CAP // 2 < kept <= _CAP
    assert largest <= _CAP
