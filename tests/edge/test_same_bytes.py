"""Where originals lie makes no difference to a single byte of an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer
from yarl import URL

from imgproxy.app import assemble
from imgproxy.files.database_url import SqliteUrl
from imgproxy.image.source import parse_key
from imgproxy.settings import Settings
from imgproxy.storage import Storage
from imgproxy.storage.local import LocalOptions
from imgproxy.storage.s3 import S3Options
from tests.pictures import BLUE, GREEN, RED, encoded, film, gradient, noise, oriented, svg
from tests.services import SeaweedFS

ORIGINALS = {
    "photo.jpg": encoded(noise(400, 300), ".jpg"),
    "folder/upright photo+1.jpg": oriented(6),
    "päivä.png": encoded(gradient(200, 100).addalpha()),
    "film.gif": film(RED, GREEN, BLUE),
    "drawing.svg": svg('<circle cx="50" cy="50" r="40" fill="red"/>', 'viewBox="0 0 100 100"'),
}
TARGETS = [
    "/photo.jpg",
    "/fit-in/120x90/photo.jpg",
    "/100x100/smart/filters:quality(60)/photo.jpg",
    "/80x60/filters:watermark(p%C3%A4iv%C3%A4.png,center,-5,30,50)/photo.jpg",
    "/fit-in/30x30/folder/upright%20photo%2B1.jpg",
    "/p%C3%A4iv%C3%A4.png?w=50&format=webp",
    "/filters:format(avif)/p%C3%A4iv%C3%A4.png",
    "/20x20/film.gif",
    "/filters:format(webp)/film.gif",
    "/200x200/drawing.svg",
    "/meta/fit-in/120x90/photo.jpg",
    "/absent.jpg",
]


async def whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def filled(storage: Storage) -> None:
    for name, body in ORIGINALS.items():
        await storage.put(parse_key(name), whole(body))


async def answers(settings: Settings, session: Any) -> list[tuple[int, str, bytes]]:
    """What a server with these settings answers to all targets."""
    async with assemble(settings) as server, TestServer(server.public) as http:
        await filled(server.storage)
        found = []
        for target in TARGETS:
            url = URL(f"{http.make_url('/').origin()}{target}", encoded=True)
            async with session.get(url, headers={"Accept": "image/webp,*/*"}) as answer:
                body = await answer.read()
                found.append((answer.status, answer.content_type, b"" if answer.status != 200 else body))
        return found


async def test_a_folder_and_a_bucket_give_the_same_bytes(
    seaweedfs: SeaweedFS, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiohttp import ClientSession

    for name, value in seaweedfs.owner.environment.items():
        monkeypatch.setenv(name, value)
    local = Settings(
        storage=LocalOptions(tmp_path / "objects"),
        database=SqliteUrl(tmp_path / "imgproxy.db"),
        unregistered="public",
        workers=1,
        admin_port=0,
        cache_bytes=0,
    )
    remote = local.model_copy(
        update={
            "storage": S3Options(
                bucket=bucket,
                prefix="originals/",
                region="us-east-1",
                endpoint=seaweedfs.endpoint,
                path_style=True,
            )
        }
    )
    async with ClientSession() as session:
        from_folder = await answers(local, session)
        from_bucket = await answers(remote, session)
    assert [status for status, _, _ in from_folder] == [200] * (len(TARGETS) - 1) + [404]
    assert from_bucket == from_folder
