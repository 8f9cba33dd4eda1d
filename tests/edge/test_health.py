"""Alive, ready, counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from imgproxy.edge.health import Health, checks, metrics_route
from imgproxy.telemetry import Metrics


async def fine() -> None:
    return None


async def failing() -> None:
    raise OSError("/var/secret is gone")


def application(health: Health) -> web.Application:
    application = web.Application()
    application.add_routes([*health.routes(), metrics_route(Metrics().text)])
    return application


async def test_alive_while_the_process_lives(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health(checks({"storage": failing}))))
    assert (await client.get("/healthz")).status == 200


async def test_ready_while_every_part_answers(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health(checks({"storage": fine, "workers": fine}))))
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (200, {"status": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"


async def test_unready_names_the_part_and_nothing_of_the_inside(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health(checks({"storage": failing, "workers": fine}))))
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (503, {"status": "unavailable", "failing": ["storage"]})


class _Part:
    """A part that counts questions, and answers when it is let."""

    def __init__(self) -> None:
        self.questions = 0
        self.fails = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.now = 0.0

    async def check(self) -> None:
        self.questions += 1
        await self.answers.wait()
        if self.fails:
            raise OSError("gone")


@pytest.mark.parametrize(("fails", "status"), [(False, 200), (True, 503)])
async def test_readyz_asks_the_parts_once_a_second(aiohttp_client: Any, fails: bool, status: int) -> None:
    part = _Part()
    part.fails = fails
    health = Health(checks({"storage": part.check}), timer=lambda: part.now)
    client = await aiohttp_client(application(health))
    for questions in (1, 2, 3):
        for _ in range(10):
            assert (await client.get("/readyz")).status == status
        assert part.questions == questions
        part.now += 1


async def test_readyz_shares_a_question_that_is_slow_to_answer_and_outlives_who_asked_it() -> None:
    part = _Part()
    part.answers.clear()
    health = Health(checks({"storage": part.check}), timer=lambda: part.now)
    request = make_mocked_request("GET", "/readyz")
    asking = [asyncio.create_task(health.readyz(request)) for _ in range(50)]
    await asyncio.sleep(0)
    part.now += 30
    asking.append(asyncio.create_task(health.readyz(request)))
    asking[0].cancel()
    await asyncio.sleep(0)
    part.answers.set()
    assert [each.status for each in await asyncio.gather(*asking[1:])] == [200] * 50
    assert part.questions == 1


async def test_unready_before_it_stops_listening(aiohttp_client: Any) -> None:
    health = Health(checks({}))
    client = await aiohttp_client(application(health))
    health.drain()
    assert (await client.get("/readyz")).status == 503
    assert (await client.get("/healthz")).status == 200


async def test_metrics_are_prometheus_text(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health(checks({}))))
    answer = await client.get("/metrics")
    assert answer.content_type == "text/plain"
    assert "imgproxy_sent_bytes_total" in await answer.text()
