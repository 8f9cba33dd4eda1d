"""Lifetime of a server: one process, or a supervisor and edge processes; ports, signals, and draining."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from tempfile import TemporaryDirectory

from aiohttp import web

from imgproxy import app
from imgproxy.edge.health import Health, metrics_route
from imgproxy.http.listener import DRAIN_SECONDS, accept, bind, listen, runner
from imgproxy.multiprocess import COMMAND, Broadcast, Gone, Link, Supervisor
from imgproxy.settings import Settings
from imgproxy.telemetry import JoinedMetrics, share_metrics

_log = logging.getLogger(__name__)

_EDGE_SECONDS = DRAIN_SECONDS + 5  # for an edge process to drain and to end
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class EdgeArguments:
    """Arguments of the command `edge`: descriptors of its link and its listening sockets, and its share."""

    link: int
    listeners: tuple[int, ...]
    index: int
    edges: int

    def as_list(self) -> list[str]:
        """Return them as the command `edge` reads them."""
        listeners = ",".join(map(str, self.listeners))
        numbers = [f"--link={self.link}", f"--index={self.index}", f"--edges={self.edges}"]
        return [*numbers, f"--listeners={listeners}"]


def share(settings: Settings, *, index: int, edges: int) -> Settings:
    """Return the settings of one edge process of several: its share of workers, queue and memory."""

    def part(total: int) -> int:
        return total // edges + (index < total % edges)

    shares = {
        "workers": max(1, part(settings.workers)),
        "queue": part(settings.queue),
        "memory_bytes": part(settings.memory_bytes),
        "client_bytes": part(settings.client_bytes),
        "sources_bytes": max(part(settings.sources_bytes), settings.max_source_bytes),
    }
    return settings.model_copy(update=shares)


async def run(
    settings: Settings,
    *,
    host: str,
    port: int,
    pages: Sequence[web.RouteDef] = (),
    announce: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests under way; a second signal stops at once.

    `announce` is called once the ports are open.
    """
    stop = asyncio.Event()
    async with app.assemble(settings, pages=pages) as server, AsyncExitStack() as stack:
        _calm_collector()
        await _open_admin(stack, settings, server.admin)
        public = runner(server.public, app.bounds(settings))
        stack.push_async_callback(public.cleanup)
        await listen(public, host, port)
        _listen_to_signals(stop)
        announce()
        await stop.wait()
        _drain(server.health)


async def run_edges(
    settings: Settings,
    *,
    host: str,
    port: int,
    edges: int,
    arguments: Sequence[str] = (),
    announce: Callable[[], None] = lambda: None,
) -> None:
    """Serve by several processes and supervise them; `arguments` are for the command `edge`."""
    listeners = bind(host, port, edges=edges)
    stop = asyncio.Event()

    def command(index: int, link: int) -> list[str]:
        own = EdgeArguments(link, tuple(each.fileno() for each in listeners[index]), index, edges)
        return [*COMMAND, "edge", *own.as_list(), *arguments]

    def end() -> None:
        supervisor.signal(signal.SIGKILL)
        folder.cleanup()

    async with AsyncExitStack() as stack:
        sockets = stack.enter_context(ExitStack())
        for each in chain(*listeners):
            sockets.enter_context(each)
        folder = TemporaryDirectory(prefix="imgproxy-metrics-")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = stack.enter_context(folder)
        metrics = JoinedMetrics(folder.name)
        supervisor = Supervisor(listeners, command=command, ended=metrics.restarted)
        stack.push_async_callback(supervisor.close)
        health = Health(supervisor.failing)
        shown = metrics_route(metrics.text, refresh=partial(supervisor.poll, "measure"))
        await _open_admin(stack, settings, app.application(*health.routes(), shown))
        await supervisor.start()
        _calm_collector()
        _listen_to_signals(stop, at_once=end)
        announce()
        await stop.wait()
        _drain(health)
        sockets.close()  # so that each process, when it closes its own, refuses new connections
        await supervisor.drain(_EDGE_SECONDS)


async def run_edge(settings: Settings, own: EdgeArguments, *, pages: Sequence[web.RouteDef] = ()) -> None:
    """Serve as one of several processes until a signal, or until the supervisor is gone."""
    share_metrics(own.index)
    settings = share(settings, index=own.index, edges=own.edges)
    stop = asyncio.Event()

    orphaned = False

    def gone() -> None:
        nonlocal orphaned
        if not stop.is_set():
            _log.error("the supervisor is gone: this process ends, too")
            orphaned = True
        stop.set()

    link = Link(socket.socket(fileno=own.link), gone=gone)
    async with (
        link,
        app.assemble(settings, broadcast=Broadcast(link), pages=pages) as server,
        AsyncExitStack() as stack,
    ):

        async def measure() -> None:
            server.metrics.refresh()

        link.handlers |= {"check": server.health.failing, "measure": measure}
        _calm_collector()
        public = runner(server.public, app.bounds(settings))
        stack.push_async_callback(public.cleanup)
        _listen_to_signals(stop)
        with suppress(Gone):
            await link.call("ready")
        await accept(public, [socket.socket(fileno=each) for each in own.listeners])
        await stop.wait()
        _drain(server.health)
    if orphaned:  # the supervisor, killed, could not
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


async def _open_admin(stack: AsyncExitStack, settings: Settings, application: web.Application) -> None:
    if settings.admin_port:
        admin = runner(application)
        stack.push_async_callback(admin.cleanup)
        await listen(admin, _LOOPBACK, settings.admin_port)


def _drain(health: Health) -> None:
    health.drain()
    _log.info("draining: no new connections, %.0f s for requests under way", DRAIN_SECONDS)


def _calm_collector() -> None:
    """Let Python look for cycles less often: what a request leaves behind is freed by its last reference."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _listen_to_signals(stop: asyncio.Event, *, at_once: Callable[[], None] | None = None) -> None:
    """Set `stop` at the first signal; a second one ends the process, after `at_once`."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def first() -> None:
        for each in signals:
            if at_once is not None:
                loop.add_signal_handler(each, second, each, at_once)
            else:
                loop.remove_signal_handler(each)
                signal.signal(each, signal.SIG_DFL)
        stop.set()

    def second(by: signal.Signals, at_once: Callable[[], None]) -> None:
        at_once()
        loop.remove_signal_handler(by)
        signal.signal(by, signal.SIG_DFL)
        signal.raise_signal(by)

    for each in signals:
        loop.add_signal_handler(each, first)
