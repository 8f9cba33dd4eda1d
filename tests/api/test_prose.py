"""What the document says whatever the endpoints are, held against what is done."""

from __future__ import annotations

import pytest

from imgproxy.api.idempotency import _LONGEST, KEPT_MS
from imgproxy.api.prose import HEADERS, INTRODUCTION, PARAMETERS, SECURITY, SECURITY_SCHEMES
from imgproxy.api.registry import GROUPS
from imgproxy.files.principal import Kind


@pytest.mark.parametrize("kind", Kind)
def test_who_may_call_is_said_of_every_kind_by_schemes_that_there_are(kind: Kind) -> None:
    named = {name for way in SECURITY[kind] for name in way}
    assert named
    assert named <= SECURITY_SCHEMES.keys()


def test_a_secret_key_is_the_only_way_to_act_for_a_tenant() -> None:
    assert SECURITY[Kind.SERVICE] == [{"ApiKey": []}]


def test_an_idempotency_key_is_as_long_as_we_say_and_remembered_for_as_long() -> None:
    told = PARAMETERS["IdempotencyKey"]
    assert told["schema"] == {"type": "string", "minLength": 1, "maxLength": _LONGEST}
    assert f"{KEPT_MS // 3_600_000} hours" in str(told["description"])


def test_the_introduction_names_endpoints_that_there_are() -> None:
    served = {f"{each.method} {each.path}" for group in GROUPS for each in group.endpoints}
    named = {word for word in INTRODUCTION.split("`") if word.startswith(("POST ", "GET "))}
    assert named
    assert named <= served


def test_headers_and_parameters_say_what_they_are() -> None:
    assert [name for name, each in (HEADERS | PARAMETERS).items() if not each["description"]] == []
