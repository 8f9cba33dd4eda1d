"""From what an endpoint answers to bytes and headers."""

from __future__ import annotations

from aiohttp.test_utils import make_mocked_request

from imgproxy.api.endpoints import Answer
from imgproxy.api.reply import Reply, reply, written
from tests.api.shell import Echo

BODY = Echo(text="é", who="olga")


def test_an_answer_is_written_once_with_the_endpoints_status_or_its_own() -> None:
    plain = reply(Answer(BODY, etag='"1"', headers={"Location": "/x"}), status=201)
    assert plain == Reply(
        201, {"Location": "/x", "ETag": '"1"'}, '{"text":"é","who":"olga","base":""}'.encode()
    )
    assert reply(Answer(None, status=204), status=200) == Reply(204, {}, b"")


def test_what_has_a_version_may_be_kept_by_its_asker_and_asked_for_anew() -> None:
    http = make_mocked_request("GET", "/")
    versioned, other = written(http, Reply(200, {"ETag": '"1"'}, b"{}")), written(http, Reply(200, {}, b"{}"))
    assert versioned.headers["Cache-Control"] == "private, no-cache"
    assert other.headers["Cache-Control"] == "no-store"


def test_a_change_is_never_answered_not_modified() -> None:
    http = make_mocked_request("PATCH", "/", headers={"If-None-Match": '"1"'})
    assert written(http, Reply(200, {"ETag": '"1"'}, b"{}")).status == 200
