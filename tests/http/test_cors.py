"""Which pages may call us."""

from __future__ import annotations

import pytest

from imgproxy.http.cors import Cors

APP = "https://app.example"


def test_any_origin_is_told_so_without_looking() -> None:
    headers = Cors(["*"]).headers(APP)
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Vary" not in headers


def test_an_allowed_origin_is_named_and_caches_are_told_that_it_matters() -> None:
    headers = Cors([APP]).headers(APP)
    assert (headers["Access-Control-Allow-Origin"], headers["Vary"]) == (APP, "Origin")


@pytest.mark.parametrize("origin", ["https://evil.example", f"{APP}.evil.example", "null", None])
def test_any_other_origin_is_told_nothing(origin: str | None) -> None:
    cors = Cors([APP])
    assert dict(cors.headers(origin)) == dict(cors.preflight(origin, ["GET"])) == {"Vary": "Origin"}


def test_a_page_may_send_what_the_api_reads_and_see_what_it_answers() -> None:
    headers = Cors([APP]).preflight(APP, {"POST", "GET"})
    assert headers["Access-Control-Allow-Methods"] == "GET, POST"
    for name in ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-API-Key"):
        assert name in headers["Access-Control-Allow-Headers"]
    for name in ("ETag", "X-RateLimit-Remaining", "X-Request-Id", "Retry-After"):
        assert name in headers["Access-Control-Expose-Headers"]


def test_no_cookie_is_ever_asked_for() -> None:
    for cors in (Cors(["*"]), Cors([APP])):
        assert "Access-Control-Allow-Credentials" not in cors.preflight(APP, ["GET"])
