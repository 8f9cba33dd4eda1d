"""What operators see: Prometheus metrics, and one line of JSON for each request, written off the hot path."""

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
from itertools import accumulate
from json.encoder import encode_basestring_ascii as quoted
from types import TracebackType
from typing import NamedTuple, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from imgproxy.masking import masked

_PIPE_BUF = 4096  # bytes that a pipe takes whole, however many write into it (pipe(7), PIPE_BUF)
_LONGEST_TARGET = 3_600  # letters of JSON, so that a line fits into that with all else
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


_numbers = random.Random()  # noqa: S311  ids tell requests apart, and a system call each lets go of the lock


def request_id(headers: Mapping[str, str]) -> str:
    """The id that a proxy in front gave in `X-Request-Id`, if it is one, or a new one."""
    given = headers.get("X-Request-Id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{_numbers.getrandbits(64):016x}"


class Metrics:
    """The metrics of one process, in a registry of their own so that tests do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = _Answers()
        self.registry.register(self._answers)
        self._stages = Histogram(
            "imgproxy_stage_seconds",
            "Seconds of a miss: fetch, wait, decode, encode (with what streams into it).",
            ["stage"], buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._received = Counter(
            "imgproxy_source_bytes_total", "Bytes of originals read.", registry=self.registry
        )

        self._damaged = Counter(
            "imgproxy_damaged_total",
            "Images made of damaged originals, of which a part did not decode.",
            registry=self.registry,
        )

    def damaged(self) -> None:
        """Count one image made of a damaged original."""
        self._damaged.inc()

    def answered(self, status: int, cache: str, sent: int, seconds: float) -> None:
        """Count an answer; `cache` is `hit`, `miss` or `none`."""
        self._answers.count(status, cache, sent, seconds)

    def fetched(self, seconds: float, size: int) -> None:
        """Count originals that were fetched for one miss."""
        self._stages.labels("fetch").observe(seconds)
        self._received.inc(size)

    def rendered(self, *, wait: float, decode: float, encode: float) -> None:
        """Count one picture made, by the seconds of its stages."""
        self._stages.labels("wait").observe(wait)
        self._stages.labels("decode").observe(decode)
        self._stages.labels("encode").observe(encode)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a number that somebody else keeps, asked for when metrics are read."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def counts(self, name: str, text: str, label: str, values: Mapping[str, int]) -> None:
        """Show numbers that somebody else counts, one for each value of a label."""
        self.registry.register(_Counts(name, text, (label,), values))

    def counts_by(
        self, name: str, text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], int]
    ) -> None:
        """The same for several labels."""
        self.registry.register(_Counts(name, text, labels, values))

    def text(self) -> tuple[str, bytes]:
        """Content type and body of `/metrics`."""
        return CONTENT_TYPE_LATEST, generate_latest(self.registry)

    async def told(self) -> tuple[str, bytes]:
        """The same, for who can wait."""
        return self.text()


class _Answers(Collector):
    """Counts answers in plain lists: a hit takes 30 µs in all, and four counters of the library 5 of them."""

    def __init__(self) -> None:
        self._slots: dict[tuple[int, str], list[float]] = {}
        self._sent = 0

    def count(self, status: int, cache: str, sent: int, seconds: float) -> None:
        """Add one answer to its slot: seconds in all, then how many in each bucket."""
        slot = self._slots.get((status, cache))
        if slot is None:
            slot = self._slots[status, cache] = [0.0] * (len(_SECONDS) + 2)
        slot[0] += seconds
        slot[1 + bisect_left(_SECONDS, seconds)] += 1
        self._sent += sent

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "imgproxy_requests", "Answers by status and cache.", labels=["status", "cache"]
        )
        seconds = HistogramMetricFamily(
            "imgproxy_request_seconds", "Seconds until an answer is ready, by cache.", labels=["cache"]
        )
        by_cache: dict[str, list[float]] = {}
        for (status, cache), slot in self._slots.items():
            requests.add_metric([str(status), cache], sum(slot[1:]))
            whole = by_cache.setdefault(cache, [0.0] * len(slot))
            by_cache[cache] = [one + other for one, other in zip(whole, slot, strict=True)]
        for cache, slot in by_cache.items():
            bounds = [*(str(bound) for bound in _SECONDS), "+Inf"]
            seconds.add_metric([cache], list(zip(bounds, accumulate(slot[1:]), strict=True)), slot[0])
        yield requests
        yield seconds
        yield CounterMetricFamily("imgproxy_sent_bytes", "Bytes of bodies sent.", value=self._sent)


class _Counts(Collector):
    """Reads counters when metrics are read."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        values: Mapping[str, int] | Mapping[tuple[str, ...], int],
    ) -> None:
        self._name, self._text, self._labels, self._values = name, text, labels, values

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for value, count in self._values.items():
            family.add_metric([value] if isinstance(value, str) else value, count)
        yield family


class Line(NamedTuple):
    """What the access log says of a request."""

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
    """A target as JSON; the end of a very long one is left out."""
    shown = quoted(target)
    return shown if len(shown) <= _LONGEST_TARGET else quoted(f"{target[: _LONGEST_TARGET // 13]}…")


class AccessLog:
    """One line of JSON a request. Handlers only append; a task formats and writes a few times a second.

    Several processes may write into one pipe: each write is of whole lines, and small enough to stay whole.

    When more than `most` lines wait, because whoever reads them has stopped, new ones are counted and
    dropped: a log must not hold up pictures.
    """

    def __init__(self, stream: TextIO | None = None, *, most: int = 100_000, every: float = 0.2) -> None:
        self._stream = stream
        self._lines: deque[Line] = deque()
        self._most = most
        self._every = every
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def add(self, line: Line) -> None:
        """Remember a line to write."""
        if len(self._lines) < self._most:
            self._lines.append(line)
        else:
            self._dropped += 1

    def start(self) -> None:
        """Begin to write, in the running loop."""
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

    def _take(self) -> list[Line | str]:
        lines: list[Line | str] = list(self._lines)
        self._lines.clear()
        if self._dropped:
            lines.append(f'{{"dropped":{self._dropped}}}')
            self._dropped = 0
        return lines

    def _write(self, lines: list[Line | str]) -> None:
        stream = self._stream or sys.stdout
        for piece in _pieces(f"{line}\n" for line in lines):
            stream.write(piece)
            stream.flush()


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """The same lines, as many at a time as a pipe takes whole; they are ASCII."""
    piece = ""
    for line in lines:
        if len(piece) + len(line) > _PIPE_BUF:
            yield piece
            piece = ""
        piece += line
    if piece:
        yield piece


class JsonFormatter(logging.Formatter):
    """What the program itself has to say, as lines of JSON beside the access log."""

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
    sys.unraisablehook = lambda told: _log_uncaught(told.exc_type, told.exc_value, told.exc_traceback)
    threading.excepthook = lambda told: _log_uncaught(told.exc_type, told.exc_value, told.exc_traceback)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each look at the schema


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Log an exception that nothing has caught, as one line."""
    found = error or kind()
    if isinstance(found, KeyboardInterrupt):
        sys.__excepthook__(kind, found, trace)
        return
    logging.getLogger(__name__).critical("uncaught: %s", kind.__name__, exc_info=(kind, found, trace))
