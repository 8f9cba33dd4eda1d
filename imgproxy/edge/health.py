"""Liveness, readiness and metrics, for load balancers, orchestrators and Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from aiohttp import web

from imgproxy.telemetry import METRICS_TYPE

CHECK_SECONDS = 1.0
"""Shortest time between two checks of the parts, however many requests there are."""

_HEADERS = {"Cache-Control": "no-store", "Server": "imgproxy"}


class Health:
    """`/healthz` responds while the process runs, `/readyz` while it should receive requests."""

    def __init__(
        self,
        failing: Callable[[], Awaitable[list[str]]],
        *,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Be ready while `failing` returns no names of parts."""
        self._find_failing = failing
        self._timer = timer
        self._draining = False
        self._checked_at = float("-inf")
        self._check: asyncio.Future[list[str]] | None = None

    def drain(self) -> None:
        """Be ready no more."""
        self._draining = True

    async def healthz(self, _request: web.Request) -> web.Response:
        """Return 200."""
        return web.json_response({"status": "ok"}, headers=_HEADERS)

    async def readyz(self, _request: web.Request) -> web.Response:
        """Return 200, or 503 with the parts that fail or `draining`."""
        failing = [*(["draining"] if self._draining else []), *await self.failing()]
        body = {"status": "unavailable", "failing": failing} if failing else {"status": "ok"}
        return web.json_response(body, status=503 if failing else 200, headers=_HEADERS)

    async def failing(self) -> list[str]:
        """Return the parts that fail, by a check that is shared by all requests within a second."""
        check, now = self._check, self._timer()
        if check is None or (check.done() and now - self._checked_at >= CHECK_SECONDS):
            self._checked_at = now
            check = self._check = asyncio.ensure_future(self._find_failing())
        return await asyncio.shield(check)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the public port."""
        return [web.get("/healthz", self.healthz), web.get("/readyz", self.readyz)]


def checks(parts: Mapping[str, Callable[[], Awaitable[None]]]) -> Callable[[], Awaitable[list[str]]]:
    """Return a function that returns the names of the parts whose check raises."""
    return partial(_failing, parts)


async def _failing(parts: Mapping[str, Callable[[], Awaitable[None]]]) -> list[str]:
    failing = []
    for name, check in parts.items():
        try:
            await check()
        except Exception:
            failing.append(name)
    return failing


def metrics_route(
    text: Callable[[], bytes], *, refresh: Callable[[], Awaitable[object]] | None = None
) -> web.RouteDef:
    """Return the route of the admin port that shows metrics, once `refresh` has brought them up to date."""

    async def show(_request: web.Request) -> web.Response:
        if refresh is not None:
            await refresh()
        return web.Response(body=text(), headers={"Content-Type": METRICS_TYPE, **_HEADERS})

    return web.get("/metrics", show)
