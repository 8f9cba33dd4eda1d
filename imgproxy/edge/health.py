"""Is it alive, is it ready, and what does it count: for load balancers, orchestrators and Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

ASKED_SECONDS = 1.0
"""Shortest time between two questions to the parts, however often we are asked."""

_HEADERS = {"Cache-Control": "no-store", "Server": "imgproxy"}


class Health:
    """`/healthz` answers while the process lives, `/readyz` while it should be sent requests."""

    def __init__(
        self,
        checks: dict[str, Callable[[], Awaitable[None]]],
        *,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = checks
        self._timer = timer
        self._draining = False
        self._asked_at = float("-inf")
        self._question: asyncio.Task[list[str]] | None = None

    def drain(self) -> None:
        """Ask to be sent nothing more."""
        self._draining = True

    async def healthz(self, _request: web.Request) -> web.Response:
        """Alive."""
        return web.json_response({"status": "ok"}, headers=_HEADERS)

    async def readyz(self, _request: web.Request) -> web.Response:
        """Ready: every part answers, and we are not about to stop."""
        failing = [*(["draining"] if self._draining else []), *await self._failing()]
        body = {"status": "unavailable", "failing": failing} if failing else {"status": "ok"}
        return web.json_response(body, status=503 if failing else 200, headers=_HEADERS)

    async def _failing(self) -> list[str]:
        """Return the parts that do not answer, by a question that serves all who ask within a second."""
        question, now = self._question, self._timer()
        if question is None or (question.done() and now - self._asked_at >= ASKED_SECONDS):
            self._asked_at = now
            question = self._question = asyncio.ensure_future(self._ask())
        return await asyncio.shield(question)

    async def _ask(self) -> list[str]:
        failing = []
        for name, check in self._checks.items():
            try:
                await check()
            except Exception:
                failing.append(name)
        return failing

    def routes(self) -> list[web.RouteDef]:
        """For the public port."""
        return [web.get("/healthz", self.healthz), web.get("/readyz", self.readyz)]


def metrics_route(told: Callable[[], Awaitable[tuple[str, bytes]]]) -> web.RouteDef:
    """For the admin port only; `told` gives the content type and the text."""

    async def show(_request: web.Request) -> web.Response:
        kind, text = await told()
        return web.Response(body=text, headers={"Content-Type": kind, **_HEADERS})

    return web.get("/metrics", show)
