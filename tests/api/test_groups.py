"""The groups of endpoints that are served."""

from __future__ import annotations

from collections import Counter

from openapi_spec_validator import validate

from imgproxy.api.groups import GROUPS
from imgproxy.api.openapi import document


def test_the_document_of_all_groups_is_valid() -> None:
    validate(document(GROUPS))


def test_no_two_endpoints_are_one() -> None:
    served = Counter((each.method, each.path, each.media) for group in GROUPS for each in group.endpoints)
    assert [each for each, count in served.items() if count > 1] == []
