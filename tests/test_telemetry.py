"""Metrics, the access log, and the program's log."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import select
import subprocess
import sys
from collections import Counter

import pytest

from imgproxy.telemetry import AccessLine, AccessLog, JsonFormatter, Metrics, request_id


def line(status: int, target: str = "/photo.jpg") -> AccessLine:
    return AccessLine(1_800_000_000.0, "id", "127.0.0.1", "GET", target, status, 10, "hit", 0.0015)


def test_access_line_is_json_for_any_target() -> None:
    read = json.loads(str(line(200, '/"\\\x7f\u2028.jpg')))
    assert (read["target"], read["ms"], read["bytes"]) == ('/"\\\x7f\u2028.jpg', 1.5, 10)


class Watched(io.StringIO):
    """A stream that sets an event when it is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def flush(self) -> None:
        self._loop.call_soon_threadsafe(self.written.set)


async def test_access_log_writes_lines_soon_and_in_order() -> None:
    stream = Watched()
    log = AccessLog(stream, every=0.001)
    log.start()
    for number in range(3):
        log.add(line(number))
    assert stream.getvalue() == ""
    await asyncio.wait_for(stream.written.wait(), 10)
    await log.close()
    assert [json.loads(each)["status"] for each in stream.getvalue().splitlines()] == [0, 1, 2]


async def test_access_log_close_writes_the_rest() -> None:
    stream = io.StringIO()
    log = AccessLog(stream)
    log.start()
    log.add(line(7))
    await log.close()
    assert json.loads(stream.getvalue())["status"] == 7


class Pieces(io.StringIO):
    """A stream that records what was written at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def flush(self) -> None:
        self.pieces.append(self.getvalue()[sum(map(len, self.pieces)) :])


async def test_access_log_writes_whole_lines_that_fit_into_a_pipe() -> None:
    """Several processes write into one pipe (pipe(7), PIPE_BUF)."""
    stream = Pieces()
    log = AccessLog(stream)
    for number in range(200):
        log.add(line(number, "/" + "x" * (number * 20)))
    await log.close()
    assert [json.loads(each)["status"] for each in stream.getvalue().splitlines()] == list(range(200))
    assert 100 < len(stream.pieces) < 200
    assert all(0 < len(piece.encode()) <= select.PIPE_BUF and piece.endswith("\n") for piece in stream.pieces)


@pytest.mark.parametrize("letter", ["x", "é", "\N{GRINNING FACE}", '"', "\x01"])
def test_access_line_of_a_long_target_fits_into_a_pipe(letter: str) -> None:
    text = str(line(200, "/" + letter * 8_190))
    assert len(text) < select.PIPE_BUF
    read = json.loads(text)["target"]
    assert read.endswith("…")
    assert read[:200] == "/" + letter * 199


async def test_access_log_counts_lines_beyond_its_limit() -> None:
    stream = io.StringIO()
    log = AccessLog(stream, most=2)
    for number in range(5):
        log.add(line(number))
    await log.close()
    assert [json.loads(each) for each in stream.getvalue().splitlines()][-1] == {"dropped": 3}


def test_metrics_show_counts_and_polled_values() -> None:
    metrics, ends = Metrics(), Counter({"crash": 2})
    metrics.responded(200, "hit", 1000, 0.001)
    metrics.fetched(0.01, 500)
    metrics.rendered(wait=0.0, decode=0.01, encode=0.002)
    metrics.damaged()
    metrics.gauge("imgproxy_jobs_waiting", "Jobs.", lambda: 7)
    metrics.counts("imgproxy_worker_ends", "Ends.", ["reason"], ends)
    text = metrics.text().decode()
    for line in (
        'imgproxy_requests_total{cache="hit",status="200"} 1.0',
        "imgproxy_sent_bytes_total 1000.0",
        "imgproxy_source_bytes_total 500.0",
        'imgproxy_stage_seconds_count{stage="encode"} 1.0',
        "imgproxy_damaged_total 1.0",
        "imgproxy_jobs_waiting 7.0",
        'imgproxy_worker_ends_total{reason="crash"} 2.0',
    ):
        assert line in text
    ends["crash"] += 1
    assert 'imgproxy_worker_ends_total{reason="crash"} 3.0' in metrics.text().decode()


def test_metrics_of_two_servers_are_apart() -> None:
    one, other = Metrics(), Metrics()
    one.responded(200, "hit", 1, 0.1)
    assert b'status="200"' not in other.text()


def test_json_formatter_includes_exceptions() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, "", 0, "it %s", ("fails",), None)
        record.exc_info = __import__("sys").exc_info()
    line = json.loads(JsonFormatter().format(record))
    assert (line["level"], line["message"]) == ("error", "it fails")
    assert "ValueError: broken" in line["exception"]


@pytest.mark.parametrize("text", ['","admin":"yes', "a\r\nb", "\udcff\ud800", "\0", "\u2028", "é" * 10_000])
def test_access_line_is_json_for_any_fields(text: str) -> None:
    written = str(AccessLine(1.0, text[:64], text[:64], text[:64], text, 200, 1, text[:64], 0.1))
    assert written.isascii()
    assert "\n" not in written
    read = json.loads(written)
    assert (read["client"], read["method"], read["id"]) == (text[:64], text[:64], text[:64])


def test_access_line_of_no_client_names_none() -> None:
    assert json.loads(str(line(200)._replace(client=None)))["client"] == ""


def test_json_formatter_logs_the_format_if_its_values_do_not_fit() -> None:
    record = logging.getLogger("x").makeRecord("x", logging.ERROR, "", 0, "%d of %s", ("x",), None)
    assert json.loads(JsonFormatter().format(record))["message"] == "%d of %s"


_NOISY = """
import asyncio, logging, sys, threading, warnings
from imgproxy.telemetry import log_to_stderr
log_to_stderr()
warnings.warn("a warning\\nof two lines")
logging.getLogger("x").error("%d", "no number")
logging.getLogger("x").error("a stack", stack_info=True)
try:
    raise ValueError("a\\nb\\ud800")
except ValueError:
    logging.getLogger("x").exception("caught\\nand logged")

class Bad:
    def __del__(self):
        raise RuntimeError("in a destructor")

def fail():
    raise RuntimeError("in a thread")

bad = Bad()
del bad
thread = threading.Thread(target=fail)
thread.start()
thread.join()

async def main():
    task = asyncio.ensure_future(asyncio.to_thread(fail))
    await asyncio.wait([task])
    asyncio.get_running_loop().call_soon(fail)
    del task

asyncio.run(main())
raise KeyError("the last")
"""


def test_log_to_stderr_writes_every_trace_as_one_line_of_json() -> None:
    done = subprocess.run([sys.executable, "-c", _NOISY], capture_output=True, text=True, check=False)
    lines = [json.loads(each) for each in done.stderr.splitlines()]
    assert len(lines) >= 8
    traces = " ".join(each.get("exception", "") for each in lines)
    for text in ("in a destructor", "in a thread", "the last", "ValueError"):
        assert text in traces
    assert "a warning" in " ".join(each["message"] for each in lines)


def test_json_formatter_masks_passwords_of_urls() -> None:
    try:
        raise ValueError("postgresql://olga:hunter2@db/x")
    except ValueError:
        args = ("https://olga:hunter2@cache.example",)
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, "", 0, "it %s", args, None)
        record.exc_info = __import__("sys").exc_info()
    line = JsonFormatter().format(record)
    assert "hunter2" not in line
    assert json.loads(line)["message"] == "it https://***@cache.example"


@pytest.mark.parametrize("given", ["abc-123-def", "a" * 64, "6f1e.8_0-"])
def test_request_id_keeps_that_of_a_proxy(given: str) -> None:
    assert request_id({"X-Request-Id": given}) == given


@pytest.mark.parametrize("given", ["", "short", "a" * 65, "<script>", "abc-123-def\n"])
def test_request_id_replaces_an_invalid_one(given: str) -> None:
    made = request_id({"X-Request-Id": given})
    assert made != given
    assert len(made) == 16


def test_request_id_is_unique() -> None:
    assert len({request_id({}) for _ in range(10_000)}) == 10_000
