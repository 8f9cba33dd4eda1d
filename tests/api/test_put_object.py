"""A body that is not whole is not stored, however it came to be so."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from aiohttp import streams, web
from aiohttp.test_utils import make_mocked_request

from imgproxy.api import put_object as put_module
from imgproxy.api.put_object import Refusal, put_object
from imgproxy.storage.memory import MemoryStorage
from imgproxy.storage.signed_url import SignedUrl
from tests.storage.contract import KEY, keys


def request(length: int, *chunks: bytes, fault: Exception | None = None, ends: bool = True) -> web.Request:
    """A PUT whose body arrives so, and then ends or fails."""
    payload = streams.StreamReader(Mock(), 2**16, loop=asyncio.get_running_loop())
    for chunk in chunks:
        payload.feed_data(chunk)
    if fault is not None:
        payload.set_exception(fault)
    elif ends:
        payload.feed_eof()
    return make_mocked_request("PUT", "/", {"Content-Length": str(length)}, payload=payload)


@pytest.mark.parametrize(
    ("chunks", "fault", "status", "says"),
    [
        ([b"012"], None, 400, "ended after 3 of 5 bytes"),
        ([], None, 400, "ended after 0 of 5 bytes"),
        ([b"012", b"345"], None, 413, "more than the 5 bytes"),
        ([], ConnectionResetError(), 400, "broke off"),
        ([], web.RequestPayloadError(), 400, "broke off"),
    ],
)
async def test_what_is_not_whole_is_not_stored(
    chunks: list[bytes], fault: Exception | None, status: int, says: str
) -> None:
    storage = MemoryStorage()
    with pytest.raises(Refusal, match=says) as refused:
        await put_object(storage, SignedUrl("PUT", KEY, 0), request(5, *chunks, fault=fault), patience=30)
    assert refused.value.code.status == status
    assert await keys(storage) == []


async def test_a_body_that_drips_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(put_module, "SLOWEST", 1e9)
    dripping = request(1_000_000, b"x", ends=False)
    taking = asyncio.create_task(
        put_object(MemoryStorage(), SignedUrl("PUT", KEY, 0), dripping, patience=0.3)
    )
    while not taking.done():  # never silent for as long as 0.3 s
        dripping.content.feed_data(b"x")
        await asyncio.wait([taking], timeout=0.02)
    with pytest.raises(Refusal) as refused:
        taking.result()
    assert refused.value.code.status == 408


async def test_what_is_whole_is_stored() -> None:
    storage = MemoryStorage()
    etag = await put_object(storage, SignedUrl("PUT", KEY, 0), request(5, b"012", b"34"), patience=30)
    assert etag == f'"{(await storage.head(KEY)).version}"'
