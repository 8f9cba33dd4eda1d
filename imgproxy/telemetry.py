"""What operators see: Prometheus metrics, and one line of JSON for each request, written off the hot path."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one process, in a registry of their own so that tests do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "imgproxy_requests_total", "Answers by status and cache.", ["status", "cache"],
            registry=self.registry,
        )  # fmt: skip
        self._stages = Histogram(
            "imgproxy_stage_seconds",
            "Seconds of a miss: fetch, wait, decode, encode (with what streams into it).",
            ["stage"], buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "imgproxy_request_seconds", "Seconds until an answer is ready, by cache.", ["cache"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._received = Counter(
            "imgproxy_source_bytes_total", "Bytes of originals read.", registry=self.registry
        )
        self._sent = Counter("imgproxy_sent_bytes_total", "Bytes of bodies sent.", registry=self.registry)
        self._children: dict[tuple[int, str], Any] = {}

    def answered(self, status: int, cache: str, sent: int, seconds: float) -> None:
        """Count an answer; `cache` is `hit`, `miss` or `none`."""
        child = self._children.get((status, cache))
        if child is None:
            child = self._requests.labels(str(status), cache), self._seconds.labels(cache)
            self._children[status, cache] = child
        child[0].inc()
        child[1].observe(seconds)
        self._sent.inc(sent)

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
        self.registry.register(_Counts(name, text, label, values))

    def text(self) -> tuple[str, bytes]:
        """Content type and body of `/metrics`."""
        return CONTENT_TYPE_LATEST, generate_latest(self.registry)


class _Counts(Collector):
    """Reads counters when metrics are read."""

    def __init__(self, name: str, text: str, label: str, values: Mapping[str, int]) -> None:
        self._name, self._text, self._label, self._values = name, text, label, values

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._text, labels=[self._label])
        for value, count in self._values.items():
            family.add_metric([value], count)
        yield family


class AccessLog:
    """One line of JSON a request. Handlers only append; a task formats and writes a few times a second.

    When more than `most` lines wait, because whoever reads them has stopped, new ones are counted and
    dropped: a log must not hold up pictures.
    """

    def __init__(self, stream: TextIO | None = None, *, most: int = 100_000, every: float = 0.2) -> None:
        self._stream = stream
        self._lines: deque[dict[str, Any]] = deque()
        self._most = most
        self._every = every
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def add(self, line: dict[str, Any]) -> None:
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

    def _take(self) -> list[dict[str, Any]]:
        lines = list(self._lines)
        self._lines.clear()
        if self._dropped:
            lines.append({"dropped": self._dropped})
            self._dropped = 0
        return lines

    def _write(self, lines: list[dict[str, Any]]) -> None:
        stream = self._stream or sys.stdout
        stream.write("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
        stream.flush()


class JsonFormatter(logging.Formatter):
    """What the program itself has to say, as lines of JSON beside the access log."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send the program's own log to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
