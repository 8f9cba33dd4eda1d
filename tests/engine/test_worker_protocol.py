"""What is written is read the same, and what no sound worker writes is a defect, never a surprise."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy import errors
from imgproxy.engine import worker_protocol
from imgproxy.engine.worker_protocol import Ready, Rendered
from imgproxy.image.colour import Colour
from imgproxy.image.formats import Format
from tests.engine.jobs import JOB

RENDERED = Rendered(
    Format.WEBP, 400, 300, 2, 12_345, 0.01, 0.002, {"format": "webp", "exif": {"Make": "x"}}, True
)


def _answer(**changes: Any) -> bytes:
    return json.dumps({"rendered": asdict(RENDERED) | changes}).encode()


def test_a_job_crosses_unchanged() -> None:
    job = replace(JOB, overlays=("logo", "frame"), meta=True, seconds=3, plain=Colour(1, 2, 3))
    assert worker_protocol.load_job(worker_protocol.dump_job(job)) == job


@pytest.mark.parametrize("answer", [RENDERED, Ready("8.18.7", ("landlock",), ("jpeg", "png"))])
def test_an_answer_crosses_unchanged(answer: Rendered | Ready) -> None:
    assert worker_protocol.load_answer(worker_protocol.dump_answer(answer)) == answer


@pytest.mark.parametrize(
    "error",
    [
        errors.BadArgument("page"),
        errors.UnsupportedImage("type"),
        errors.BrokenImage("damaged"),
        errors.TransformFailed("a frame is damaged"),
        errors.ImageTooLarge("large"),
        errors.DeadlinePassed("slow"),
        errors.EngineFailed("ours"),
    ],
)
def test_an_error_crosses_with_its_words(error: errors.ImgproxyError) -> None:
    crossed = worker_protocol.load_answer(worker_protocol.dump_answer(error))
    assert (type(crossed), str(crossed)) == (type(error), str(error))


def test_an_errors_words_are_few_and_can_be_printed() -> None:
    crossed = worker_protocol.load_answer(
        worker_protocol.dump_answer(errors.BrokenImage("a\r\n\x1b[31m" + "b" * 5000))
    )
    assert str(crossed) == "a[31m" + "b" * (1000 - len("a\r\n\x1b[31m"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"{}",
        b"[]",
        b"7",
        b'"error"',
        b"null",
        b"[" * 60_000,
        b'{"error": "NotFound", "message": "not a worker\'s to say"}',
        b'{"error": "SystemExit", "message": "x"}',
        b'{"error": ["BrokenImage"], "message": "x"}',
        b'{"error": "BrokenImage"}',
        b'{"error": "BrokenImage", "message": 7}',
        b'{"error": "BrokenImage", "message": ["a"]}',
        b'{"ready": {"libvips": 8, "locks": [], "formats": []}}',
        b'{"ready": {"libvips": "8", "locks": [1], "formats": []}}',
        b'{"ready": {"libvips": "8", "locks": 1, "formats": []}}',
        b'{"rendered": []}',
        _answer(format="exe"),
        _answer(width=-1),
        _answer(width="400"),
        _answer(height=1.5),
        _answer(height=True),
        _answer(size=2**63),
        _answer(size=None),
        _answer(info=7),
        _answer(decode_seconds="x"),
        _answer(decode_seconds=float("nan")),
        _answer(encode_seconds=float("inf")),
        _answer(encode_seconds=-1),
        _answer(encode_seconds=1).replace(b"12345", b"9" * 5000),
    ],
    ids=lambda data: data[:60].decode(errors="replace"),
)
def test_what_no_sound_worker_writes_is_a_defect(data: bytes) -> None:
    with pytest.raises(errors.EngineFailed, match="the image could not be made"):
        worker_protocol.load_answer(data)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.floats() | st.integers(), st.lists).map(
        lambda value: json.dumps({"rendered": value, "ready": value}).encode()
    )
)
def test_whatever_a_worker_writes_only_known_errors_come_of_it(data: bytes) -> None:
    try:
        answer = worker_protocol.load_answer(data)
    except errors.EngineFailed:
        return
    assert isinstance(answer, Rendered | Ready | errors.ImgproxyError)
