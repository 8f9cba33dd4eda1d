"""Liveness, readiness and metrics."""

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


async def test_healthz_is_200_while_a_part_fails(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health(checks({"storage": failing}))))
    assert (await client.get("/healthz")).status == 200


async def test_readyz_is_200_while_no_part_fails(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health(checks({"storage": fine, "workers": fine}))))
    response = await client.get("/readyz")
    assert (response.status, await response.json()) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"


async def test_readyz_names_the_failing_part_and_no_details(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health(checks({"storage": failing, "workers": fine}))))
    response = await client.get("/readyz")
    assert (response.status, await response.json()) == (
        503,
        {"status": "unavailable", "failing": ["storage"]},
    )


class _Part:
    """A part that counts checks, and ends them when it is released."""

    def __init__(self) -> None:
        self.checks_made = 0
        self.fails = False
        self.released = asyncio.Event()
        self.released.set()
        self.now = 0.0

    async def check(self) -> None:
        self.checks_made += 1
        await self.released.wait()
        if self.fails:
            raise OSError("gone")


@pytest.mark.parametrize(("fails", "status"), [(False, 200), (True, 503)])
async def test_readyz_checks_the_parts_once_a_second(aiohttp_client: Any, fails: bool, status: int) -> None:
    part = _Part()
    part.fails = fails
    health = Health(checks({"storage": part.check}), timer=lambda: part.now)
    client = await aiohttp_client(application(health))
    for checks_made in (1, 2, 3):
        for _ in range(10):
            assert (await client.get("/readyz")).status == status
        assert part.checks_made == checks_made
        part.now += 1


async def test_readyz_shares_a_slow_check_that_outlives_its_first_request() -> None:
    part = _Part()
    part.released.clear()
    health = Health(checks({"storage": part.check}), timer=lambda: part.now)
    request = make_mocked_request("GET", "/readyz")
    requests = [asyncio.create_task(health.readyz(request)) for _ in range(50)]
    await asyncio.sleep(0)
    part.now += 30
    requests.append(asyncio.create_task(health.readyz(request)))
    requests[0].cancel()
    await asyncio.sleep(0)
    part.released.set()
    assert [each.status for each in await asyncio.gather(*requests[1:])] == [200] * 50
    assert part.checks_made == 1


async def test_readyz_is_503_while_draining(aiohttp_client: Any) -> None:
    health = Health(checks({}))
    client = await aiohttp_client(application(health))
    health.drain()
    assert (await client.get("/readyz")).status == 503
    assert (await client.get("/healthz")).status == 200


async def test_metrics_route_responds_in_prometheus_text(aiohttp_client: Any) -> None:
    client = await aiohttp_client(application(Health(checks({}))))
    response = await client.get("/metrics")
    assert response.content_type == "text/plain"
    assert "imgproxy_sent_bytes_total" in await response.text()
