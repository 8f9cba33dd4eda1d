"""Prometheus metrics, the access log, and the program's log in lines of JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import sys
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii as quoted
from types import TracebackType
from typing import Literal, NamedTuple, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import values as metric_values
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from imgproxy.masking import masked

_PIPE_BUF = 4096  # bytes that a pipe takes whole, however many write into it (pipe(7), PIPE_BUF)
_LONGEST_TARGET = 3_600  # letters of JSON, so that a line fits into that with all else
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

METRICS_TYPE = CONTENT_TYPE_LATEST

_numbers = random.Random()  # noqa: S311  ids tell requests apart, and a system call each lets go of the lock


def request_id(headers: Mapping[str, str]) -> str:
    """Return the `X-Request-Id` of a proxy if it is valid, or a new one."""
    given = headers.get("X-Request-Id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{_numbers.getrandbits(64):016x}"


class Metrics:
    """Metrics of one process, in a registry of their own so that tests do not share them.

    A hit takes 30 µs, and four counters of the library 5 of them. So responses are counted in plain lists.
    When metrics are read, `refresh` adds these, and counts that other parts keep, to the library's metrics.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._responses: dict[tuple[int, str], list[float]] = {}
        self._sent_bytes = 0
        self._refreshes: list[Callable[[], None]] = [self._add_responses]
        self._requests = Counter(
            "imgproxy_requests", "Responses by status and cache.", ["status", "cache"], registry=self.registry
        )
        self._seconds = self._histogram(
            "imgproxy_request_seconds", "Seconds until a response is ready, by cache.", "cache"
        )
        self._sent = self._counter("imgproxy_sent_bytes", "Bytes of response bodies.")
        self._stages = self._histogram(
            "imgproxy_stage_seconds", "Seconds of a miss by stage: fetch, wait, decode, encode.", "stage"
        )
        self._received = self._counter("imgproxy_source_bytes", "Bytes of source images read.")
        self._damaged = self._counter(
            "imgproxy_damaged", "Images made of damaged sources, of which a part did not decode."
        )

    def damaged(self) -> None:
        """Count one image made of a damaged source."""
        self._damaged.inc()

    def responded(self, status: int, cache: str, sent: int, seconds: float) -> None:
        """Count a response; `cache` is `hit`, `miss` or `none`."""
        slot = self._responses.get((status, cache))
        if slot is None:  # seconds in all, then responses in each bucket
            slot = self._responses[status, cache] = [0.0] * (len(_SECONDS) + 2)
        slot[0] += seconds
        slot[1 + bisect_left(_SECONDS, seconds)] += 1
        self._sent_bytes += sent

    def fetched(self, seconds: float, size: int) -> None:
        """Count source images that were fetched for one miss."""
        self._stages.labels("fetch").observe(seconds)
        self._received.inc(size)

    def rendered(self, *, wait: float, decode: float, encode: float) -> None:
        """Count one transformed image by the seconds of its stages."""
        self._stages.labels("wait").observe(wait)
        self._stages.labels("decode").observe(decode)
        self._stages.labels("encode").observe(encode)

    def gauge(self, name: str, text: str, value: Callable[[], float], *, shared: bool = False) -> None:
        """Show a number that another part keeps; `shared` if all processes have the same one, not a share."""
        mode: Literal["livemax", "livesum"] = "livemax" if shared else "livesum"
        gauge = Gauge(name, text, multiprocess_mode=mode, registry=self.registry)
        self._refreshes.append(lambda: gauge.set(value()))

    def counts(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        values: Mapping[str, int] | Mapping[tuple[str, ...], int],
    ) -> None:
        """Show counts that another part keeps, by the values of one label or several."""
        counter = Counter(name, text, labels, registry=self.registry)
        known: dict[str | tuple[str, ...], int] = {}

        def refresh() -> None:
            for value, count in values.items():
                child = counter.labels(*([value] if isinstance(value, str) else value))
                child.inc(count - known.get(value, 0))
                known[value] = count

        self._refreshes.append(refresh)

    def refresh(self) -> None:
        """Bring the library's metrics up to date."""
        for refresh in self._refreshes:
            refresh()

    def text(self) -> bytes:
        """Return the body of `/metrics`."""
        self.refresh()
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)

    def _histogram(self, name: str, text: str, label: str) -> Histogram:
        return Histogram(name, text, [label], buckets=_SECONDS, registry=self.registry)

    def _add_responses(self) -> None:
        for (status, cache), (seconds, *buckets) in self._responses.items():
            self._requests.labels(str(status), cache).inc(sum(buckets))
            histogram = self._seconds.labels(cache)
            histogram._sum.inc(seconds)  # the library has no way to add many observations at once
            for bucket, count in zip(histogram._buckets, buckets, strict=True):
                bucket.inc(count)
        self._sent.inc(self._sent_bytes)
        self._responses, self._sent_bytes = {}, 0


def share_metrics(index: int) -> None:
    """Write the metrics of this process to PROMETHEUS_MULTIPROC_DIR, where a successor continues to count."""
    metric_values.ValueClass = metric_values.MultiProcessValue(lambda: index)  # type: ignore[no-untyped-call]


class JoinedMetrics:
    """Metrics of several processes as one, read from the files that they write to a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._registry = CollectorRegistry()
        self._restarts = Counter(
            "imgproxy_edge_restarts", "Edge processes replaced.", ["edge"], registry=self._registry
        )
        MultiProcessCollector(self._registry, folder)  # type: ignore[no-untyped-call]

    def restarted(self, index: int) -> None:
        """Count a process that was replaced, and forget its gauges."""
        mark_process_dead(index, self._folder)  # type: ignore[no-untyped-call]
        self._restarts.labels(str(index)).inc()

    def text(self) -> bytes:
        """Return the body of `/metrics`."""
        return generate_latest(self._registry)


class AccessLine(NamedTuple):
    """One request in the access log."""

    time: float
    id: str
    client: str | None
    method: str
    target: str
    status: int
    sent: int
    cache: str
    seconds: float

    def __str__(self) -> str:
        return (
            f'{{"time":{self.time:.3f},"id":{quoted(self.id)},"client":{quoted(self.client or "")},'
            f'"method":{quoted(self.method)},"target":{_shown(self.target)},"status":{self.status},'
            f'"bytes":{self.sent},"cache":{quoted(self.cache)},"ms":{self.seconds * 1000:.2f}}}'
        )


def _shown(target: str) -> str:
    """Return a target as JSON; the end of a very long one is left out."""
    shown = quoted(target)
    return shown if len(shown) <= _LONGEST_TARGET else quoted(f"{target[: _LONGEST_TARGET // 13]}…")


class AccessLog:
    """One line of JSON a request. Handlers only append; a task formats and writes a few times a second.

    Several processes may write into one pipe: each write is of whole lines, and small enough to stay whole.
    When more than `most` lines wait because their reader has stopped, new ones are counted and dropped.
    """

    def __init__(self, stream: TextIO | None = None, *, most: int = 100_000, every: float = 0.2) -> None:
        self._stream = stream
        self._lines: deque[AccessLine] = deque()
        self._most = most
        self._every = every
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def add(self, line: AccessLine) -> None:
        """Append a line to write."""
        if len(self._lines) < self._most:
            self._lines.append(line)
        else:
            self._dropped += 1

    def start(self) -> None:
        """Start to write, in the running loop."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is left and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._write, self._take())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            lines = self._take()
            if lines:
                await asyncio.to_thread(self._write, lines)

    def _take(self) -> list[AccessLine | str]:
        lines: list[AccessLine | str] = list(self._lines)
        self._lines.clear()
        if self._dropped:
            lines.append(f'{{"dropped":{self._dropped}}}')
            self._dropped = 0
        return lines

    def _write(self, lines: list[AccessLine | str]) -> None:
        stream = self._stream or sys.stdout
        for piece in _pieces(f"{line}\n" for line in lines):
            stream.write(piece)
            stream.flush()


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines, as many at a time as a pipe takes whole; they are ASCII."""
    piece = ""
    for line in lines:
        if len(piece) + len(line) > _PIPE_BUF:
            yield piece
            piece = ""
        piece += line
    if piece:
        yield piece


class JsonFormatter(logging.Formatter):
    """Formatter of the program's own log: lines of JSON beside the access log."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(_message(record)),
        }
        if record.exc_info:
            line["exception"] = masked(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = masked(record.stack_info)
        return json.dumps(line)


def _message(record: logging.LogRecord) -> str:
    """Return a record's message; the plain format if its values do not fit: logging would print a trace."""
    try:
        return record.getMessage()
    except Exception:
        return str(record.msg)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send the program's own log to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.raiseExceptions = False  # a log that cannot be written to is no reason to print a trace into it
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it logs each look at the schema


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Log an uncaught exception as one line."""
    error = error or kind()
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger(__name__).critical("uncaught: %s", kind.__name__, exc_info=(kind, error, trace))
