"""Answers that are written already say what freshly made ones say, and are asked about as strictly."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from imgproxy.edge.response_cache import DateLine
from tests.edge.conftest import START, Edge

TARGET = "/300x200/photo.jpg"
_OF_ONE_ANSWER = ("X-Request-ID", "Date")


def told(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in _OF_ONE_ANSWER}


async def warmed(edge: Edge, target: str = TARGET, **headers: str) -> None:
    for _ in range(2):
        await edge.get(target, **headers)


async def test_a_warm_hit_says_what_the_first_hit_said(edge: Edge) -> None:
    await edge.get(TARGET)
    first, second = await edge.get(TARGET), await edge.get(TARGET)
    assert told(second) == told(first)
    assert await second.read() == await first.read()
    assert second.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert len(edge.engine.jobs) == 1


async def test_a_warm_304_says_what_the_first_said(edge: Edge) -> None:
    await edge.get(TARGET)
    tag = (await edge.get(TARGET)).headers["ETag"]
    cached = await edge.get(TARGET, If_None_Match=tag)
    await edge.store("other.jpg")
    fresh = await edge.get("/300x200/other.jpg", If_None_Match="*")
    assert (cached.status, fresh.status) == (304, 304)
    assert set(told(cached)) == set(told(fresh))
    assert cached.headers["ETag"] == tag


async def test_a_warm_answer_to_another_tag_is_the_picture(edge: Edge) -> None:
    await warmed(edge)
    assert (await edge.get(TARGET, If_None_Match='"other"')).status == 200


async def test_a_warm_head_has_no_body(edge: Edge) -> None:
    await warmed(edge)
    head = await edge.get(TARGET, method="HEAD")
    assert (head.headers["Content-Length"], await head.read()) == ("15", b"")


async def test_other_methods_are_refused_warm_or_not(edge: Edge) -> None:
    await warmed(edge)
    assert (await edge.get(TARGET, method="POST")).status == 405


async def test_clients_that_accept_other_types_have_answers_of_their_own(edge: Edge) -> None:
    await warmed(edge, Accept="image/webp")
    await warmed(edge, Accept="image/avif")
    kinds = [
        (await edge.get(TARGET, Accept=each)).content_type for each in ("image/webp", "image/avif", "*/*")
    ]
    assert kinds == ["image/webp", "image/avif", "image/jpeg"]


@pytest.mark.parametrize("conditional", [True, False])
async def test_a_file_made_private_is_served_no_more_from_what_was_warm(
    edge: Edge, conditional: bool
) -> None:
    await warmed(edge)
    await edge.store("photo.jpg", public=False)
    headers = {"If_None_Match": "*"} if conditional else {}
    assert (await edge.get(TARGET, **headers)).status == 404


async def test_a_new_version_is_not_answered_by_the_old_one(edge: Edge) -> None:
    await warmed(edge)
    await edge.store("photo.jpg", b"replaced")
    assert await (await edge.get(TARGET)).read() == b"replaced at 300"


async def test_what_expires_is_never_answered_from_what_was_written_before(edge: Edge) -> None:
    target = f"/filters:expire({int((START + 60) * 1000)})/photo.jpg"
    await warmed(edge, target)
    edge.clock.now += 30
    assert (await edge.get(target)).headers["Cache-Control"] == "public, max-age=30, s-maxage=30"
    edge.clock.now += 31
    assert (await edge.get(target)).status == 404


async def test_a_warm_hit_is_counted_and_logged_like_any(edge: Edge) -> None:
    await warmed(edge)
    await edge.get(TARGET)
    assert 'imgproxy_requests_total{cache="hit",status="200"} 2.0' in edge.metrics.text().decode()
    await edge.access_log.close()
    assert edge.log.getvalue().count('"cache":"hit"') == 2


@pytest.mark.parametrize(
    "request_head",
    ["GET {} HTTP/1.0\r\nHost: x\r\n\r\n", "GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"],
)
async def test_who_does_not_keep_the_connection_has_it_closed(edge: Edge, request_head: str) -> None:
    await warmed(edge)
    url = edge.client.make_url("/")
    reader, writer = await asyncio.open_connection(url.host, url.port, family=socket.AF_INET)
    writer.write(request_head.format(TARGET).encode())
    everything = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b" 200 OK\r\n" in everything
    assert everything.endswith(b"original at 300")


def test_the_date_is_that_of_the_second() -> None:
    line = DateLine()
    assert line.line(START) == b"Date: Fri, 15 Jan 2027 08:00:00 GMT\r\n"
    assert line.line(START + 0.9) == line.line(START)
    assert line.line(START + 1) == b"Date: Fri, 15 Jan 2027 08:00:01 GMT\r\n"
