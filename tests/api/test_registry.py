"""The groups of endpoints that are served."""

from __future__ import annotations

from collections import Counter

from openapi_spec_validator import validate
from pydantic import BaseModel

from imgproxy.api.openapi import document
from imgproxy.api.registry import GROUPS
from imgproxy.api.responses import PublicRecord


def test_the_document_of_all_groups_is_valid() -> None:
    validate(document(GROUPS))


def test_no_two_endpoints_are_one() -> None:
    served = Counter((each.method, each.path, each.media) for group in GROUPS for each in group.endpoints)
    assert [each for each, count in served.items() if count > 1] == []


def test_endpoint_signs_if_it_creates_and_answers_a_signed_url() -> None:
    def names(model: type[BaseModel]) -> set[str]:
        return {name for name in model.model_fields if name == "url" or name.endswith("_url")}

    creating = [each for group in GROUPS for each in group.endpoints if each.creates]
    shown = {
        each.name
        for each in creating
        if isinstance(each.answers, type)
        and not issubclass(each.answers, PublicRecord)
        and names(each.answers)
    }
    assert shown == {each.name for each in creating if each.signs}
    assert shown == {"createUploadUrl", "createEntityUploadUrl"}
