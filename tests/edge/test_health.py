"""Alive, ready, counted."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from imgproxy.edge.health import Health, metrics_route
from imgproxy.telemetry import Metrics


async def fine() -> None:
    return None


async def failing() -> None:
    raise OSError("/var/secret is gone")


def application(health: Health) -> web.Application:
    application = web.Application()
    application.add_routes([*health.routes(), metrics_route(Metrics().told)])
    return application


async def test_alive_while_the_process_lives(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health({"storage": failing})))
    assert (await client.get("/healthz")).status == 200


async def test_ready_while_every_part_answers(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health({"storage": fine, "workers": fine})))
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (200, {"status": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"


async def test_unready_names_the_part_and_nothing_of_the_inside(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health({"storage": failing, "workers": fine})))
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (503, {"status": "unavailable", "failing": ["storage"]})


async def test_unready_before_it_stops_listening(aiohttp_client: Any) -> None:
    health = Health({})
    client = await aiohttp_client(application(health))
    health.drain()
    assert (await client.get("/readyz")).status == 503
    assert (await client.get("/healthz")).status == 200


async def test_metrics_are_prometheus_text(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health({})))
    answer = await client.get("/metrics")
    assert answer.content_type == "text/plain"
    assert "imgproxy_sent_bytes_total" in await answer.text()
