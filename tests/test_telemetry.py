"""What operators see."""

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


def test_a_line_is_json_whatever_the_target() -> None:
    told = json.loads(str(line(200, '/"\\\x7f\u2028.jpg')))
    assert (told["target"], told["ms"], told["bytes"]) == ('/"\\\x7f\u2028.jpg', 1.5, 10)


class Watched(io.StringIO):
    """Tells when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def flush(self) -> None:
        self._loop.call_soon_threadsafe(self.written.set)


async def test_lines_are_written_soon_and_in_order_without_being_waited_for() -> None:
    stream = Watched()
    log = AccessLog(stream, every=0.001)
    log.start()
    for number in range(3):
        log.add(line(number))
    assert stream.getvalue() == ""
    await asyncio.wait_for(stream.written.wait(), 10)
    await log.close()
    assert [json.loads(each)["status"] for each in stream.getvalue().splitlines()] == [0, 1, 2]


async def test_closing_writes_what_is_left() -> None:
    stream = io.StringIO()
    log = AccessLog(stream)
    log.start()
    log.add(line(7))
    await log.close()
    assert json.loads(stream.getvalue())["status"] == 7


class Pieces(io.StringIO):
    """Remembers what was written at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def flush(self) -> None:
        self.pieces.append(self.getvalue()[sum(map(len, self.pieces)) :])


async def test_lines_are_written_whole_and_at_most_as_many_as_a_pipe_keeps_together() -> None:
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
def test_a_line_about_a_target_of_any_length_fits_into_one_piece(letter: str) -> None:
    said = str(line(200, "/" + letter * 8_190))
    assert len(said) < select.PIPE_BUF
    told = json.loads(said)["target"]
    assert told.endswith("…")
    assert told[:200] == "/" + letter * 199


async def test_a_flood_is_counted_and_not_kept() -> None:
    stream = io.StringIO()
    log = AccessLog(stream, most=2)
    for number in range(5):
        log.add(line(number))
    await log.close()
    assert [json.loads(each) for each in stream.getvalue().splitlines()][-1] == {"dropped": 3}


def test_metrics_show_what_they_are_told_and_what_others_keep() -> None:
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


def test_two_servers_in_one_process_do_not_share_their_counts() -> None:
    one, other = Metrics(), Metrics()
    one.responded(200, "hit", 1, 0.1)
    assert b'status="200"' not in other.text()


def test_the_programs_own_log_is_json_with_its_exceptions() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, "", 0, "it %s", ("fails",), None)
        record.exc_info = __import__("sys").exc_info()
    line = json.loads(JsonFormatter().format(record))
    assert (line["level"], line["message"]) == ("error", "it fails")
    assert "ValueError: broken" in line["exception"]


@pytest.mark.parametrize("text", ['","admin":"yes', "a\r\nb", "\udcff\ud800", "\0", "\u2028", "é" * 10_000])
def test_access_line_is_json_whatever_its_fields_hold(text: str) -> None:
    written = str(AccessLine(1.0, text[:64], text[:64], text[:64], text, 200, 1, text[:64], 0.1))
    assert written.isascii()
    assert "\n" not in written
    told = json.loads(written)
    assert (told["client"], told["method"], told["id"]) == (text[:64], text[:64], text[:64])


def test_access_line_of_no_client_names_none() -> None:
    assert json.loads(str(line(200)._replace(client=None)))["client"] == ""


def test_message_that_cannot_be_made_is_logged_as_it_stands() -> None:
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
    logging.getLogger("x").exception("caught\\nand told")

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


def test_the_programs_own_log_masks_passwords_of_urls_in_messages_and_tracebacks() -> None:
    try:
        raise ValueError("postgresql://olga:hunter2@db/x")
    except ValueError:
        words = ("https://olga:hunter2@cache.example",)
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, "", 0, "it %s", words, None)
        record.exc_info = __import__("sys").exc_info()
    line = JsonFormatter().format(record)
    assert "hunter2" not in line
    assert json.loads(line)["message"] == "it https://***@cache.example"


@pytest.mark.parametrize("given", ["abc-123-def", "a" * 64, "6f1e.8_0-"])
def test_the_request_id_of_a_proxy_is_kept(given: str) -> None:
    assert request_id({"X-Request-Id": given}) == given


@pytest.mark.parametrize("given", ["", "short", "a" * 65, "<script>", "abc-123-def\n"])
def test_what_is_no_request_id_is_replaced(given: str) -> None:
    made = request_id({"X-Request-Id": given})
    assert made != given
    assert len(made) == 16


def test_request_ids_are_all_different() -> None:
    assert len({request_id({}) for _ in range(10_000)}) == 10_000
