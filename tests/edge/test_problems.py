"""From an error to an answer."""

from __future__ import annotations

import json

import pytest

from imgproxy import errors
from imgproxy.edge.problems import STATUSES, answer_to, problem, status_of


def leaves(kind: type[errors.ImgproxyError]) -> list[type[errors.ImgproxyError]]:
    """The errors that the edge tells apart: what is refused of the record of files is one defect to it."""
    if kind is errors.FilesError:
        return [kind]
    below = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    return [leaf for each in below for leaf in leaves(each)] if below else [kind]


def test_every_error_has_a_status_and_every_status_an_error() -> None:
    assert set(STATUSES) == set(leaves(errors.ImgproxyError))


def test_a_refined_error_has_the_status_of_its_kind() -> None:
    class Refused(errors.StorageFailed):
        """As a storage may have it."""

    assert status_of(Refused("no")) == 502


def test_who_is_at_fault_decides_the_class_of_status() -> None:
    behind_us = (errors.StorageFailed, errors.StorageSlow, errors.FilesError)
    for kind, status in STATUSES.items():
        ours = issubclass(kind, errors.OurError) or kind in behind_us
        assert (status >= 500) == ours, kind


def test_a_problem_has_the_members_of_rfc_9457() -> None:
    answer = problem(404, "nothing here", request_id="abc")
    assert json.loads(answer.body) == {  # type: ignore[arg-type]
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "nothing here",
        "request_id": "abc",
    }


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_our_errors_and_one_clients_alone_are_kept_nowhere(status: int) -> None:
    told = problem(status, "", request_id="x").headers
    assert (told["Cache-Control"], told["X-Accel-Expires"]) == ("no-store", "0")


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_a_clients_are_kept_for_moments(status: int) -> None:
    told = problem(status, "", request_id="x").headers
    assert (told["Cache-Control"], told["X-Accel-Expires"]) == ("public, max-age=10", "10")


def test_a_text_that_is_no_unicode_still_makes_a_problem() -> None:
    answer = answer_to(errors.BadKey("the key \udcff"), request_id="x")
    assert answer.status == 400


def test_a_full_queue_tells_when() -> None:
    answer = answer_to(errors.Overloaded("full", retry_after=7), request_id="x")
    assert (status_of(errors.Overloaded("")), answer.headers["Retry-After"]) == (503, "7")
