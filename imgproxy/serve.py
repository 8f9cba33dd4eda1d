"""How a server lives: one process, or a parent and its edges; ports, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain

from aiohttp import web

from imgproxy import app
from imgproxy.edge.health import Health, metrics_route
from imgproxy.engine.pool import Pool
from imgproxy.fleet import exposition
from imgproxy.fleet.alone import require_workers
from imgproxy.fleet.member import Member
from imgproxy.fleet.parent import Parent
from imgproxy.fleet.process import COMMAND
from imgproxy.fleet.workshop import Workshop
from imgproxy.listening import DRAIN_SECONDS, accept, bind, listen, runner
from imgproxy.settings import Settings
from imgproxy.telemetry import Metrics

_log = logging.getLogger(__name__)

_EDGE_SECONDS = DRAIN_SECONDS + 5  # for an edge to drain and to end
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Seat:
    """What a parent gives an edge: descriptors of its channel and its listening sockets, and of how many."""

    channel: int
    listeners: tuple[int, ...]
    edges: int

    def arguments(self) -> list[str]:
        """As the command `edge` reads them."""
        listeners = ",".join(map(str, self.listeners))
        return [f"--channel={self.channel}", f"--listeners={listeners}", f"--edges={self.edges}"]


async def run(
    settings: Settings,
    *,
    host: str,
    port: int,
    pages: Sequence[web.RouteDef] = (),
    announce: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way; a second signal stops at once.

    `announce` is called once somebody is listened to.
    """
    async with app.assemble(settings, pages=pages) as server:
        _calm_collector()
        public = runner(server.public, app.bounds(settings))
        admin = runner(server.admin)
        try:
            await listen(public, host, port)
            if settings.admin_port:
                await listen(admin, _LOOPBACK, settings.admin_port)
            told = _listen_to_signals(asyncio.Event())
            announce()
            await told.wait()
            _drain(server.health)
        finally:
            await public.cleanup()
            await admin.cleanup()


async def run_edges(
    settings: Settings,
    *,
    host: str,
    port: int,
    edges: int,
    arguments: Sequence[str] = (),
    announce: Callable[[], None] = lambda: None,
) -> None:
    """The same by so many processes; this one, their parent, has the workers and the admin port.

    `arguments` are for the command `edge`.
    """
    listeners = bind(host, port, edges=edges)
    pool = app.make_pool(settings)
    metrics = app.make_metrics(pool)

    def command(index: int, channel: int) -> list[str]:
        seat = Seat(channel, tuple(each.fileno() for each in listeners[index]), edges)
        return [*COMMAND, "edge", *seat.arguments(), *arguments]

    async def workers() -> None:
        require_workers(pool)

    async with AsyncExitStack() as stack:
        shut = stack.enter_context(ExitStack())
        for each in chain(*listeners):
            shut.enter_context(each)
        await stack.enter_async_context(_open(pool))
        parent = Parent(listeners=listeners, command=command, engine=Workshop(pool), check=workers)
        stack.push_async_callback(parent.close)
        metrics.counts("imgproxy_edge_restarts", "Edges that were replaced.", "edge", parent.restarts)
        health = Health({"workers": workers, "edges": parent.check})
        admin = runner(app.application(*health.routes(), metrics_route(partial(_joined, metrics, parent))))
        stack.push_async_callback(admin.cleanup)
        if settings.admin_port:
            await listen(admin, _LOOPBACK, settings.admin_port)
        await parent.start()
        _calm_collector()
        told = _listen_to_signals(asyncio.Event(), at_once=parent.kill)
        announce()
        await told.wait()
        _drain(health)
        shut.close()  # now the edges have the only ones, and close them when they do not listen any more
        await parent.drain(_EDGE_SECONDS)


async def run_edge(
    settings: Settings,
    seat: Seat,
    *,
    pages: Sequence[web.RouteDef] = (),
) -> None:
    """One of several edges, until its parent or a signal says otherwise, or the parent is gone."""
    metrics = Metrics()
    part = {
        "memory_bytes": settings.memory_bytes // seat.edges,
        "client_bytes": settings.client_bytes // seat.edges,
        "sources_bytes": max(settings.sources_bytes // seat.edges, settings.max_source_bytes),
    }
    own = settings.model_copy(update=part)
    member = Member(socket.socket(fileno=seat.channel), measure=lambda: metrics.text()[1])
    try:
        async with app.assemble_edge(own, fleet=member, metrics=metrics, pages=pages) as server:
            _calm_collector()
            await member.join()
            public = runner(server.public, app.bounds(own))
            try:
                await accept(public, [socket.socket(fileno=each) for each in seat.listeners])
                _listen_to_signals(member.dismissed)
                await member.listening()
                await member.dismissed.wait()
                _drain(server.health)
            finally:
                await public.cleanup()
    finally:
        await member.close()


@asynccontextmanager
async def _open(pool: Pool) -> AsyncIterator[None]:
    try:
        await pool.start()
        yield
    finally:
        await pool.close()


async def _joined(metrics: Metrics, parent: Parent) -> tuple[str, bytes]:
    """Our own metrics and every edge's."""
    kind, own = metrics.text()
    return kind, exposition.join(own, await parent.measure())


def _drain(health: Health) -> None:
    health.drain()
    _log.info("draining: no new connections, %.0f s for what is under way", DRAIN_SECONDS)


def _calm_collector() -> None:
    """Let Python look for cycles less often: what a request leaves behind is freed by its last reference."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _listen_to_signals(told: asyncio.Event, *, at_once: Callable[[], None] | None = None) -> asyncio.Event:
    """Set at the first signal; a second one ends the process, after `at_once`."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def tell() -> None:
        for each in signals:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
            if at_once is not None:
                loop.add_signal_handler(each, end, each, at_once)
        told.set()

    def end(by: signal.Signals, at_once: Callable[[], None]) -> None:
        at_once()
        loop.remove_signal_handler(by)
        signal.signal(by, signal.SIG_DFL)
        signal.raise_signal(by)

    for each in signals:
        loop.add_signal_handler(each, tell)
    return told
