"""Promises of `imgproxy.files.repository.reach`."""

from __future__ import annotations

from typing import Any

import pytest

from imgproxy.files.model import Visibility
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository.reach import ListQuery, reaches
from tests.files.samples import ACME, NOW

ANN = Principal(ACME, Kind.USER, user="ann", role="editor", groups=frozenset({"cats"}))
_PUBLIC, _PROTECTED = (Visibility.PUBLIC, None), (Visibility.PROTECTED, None)
_PRIVATE, _OWN, _OTHERS = (Visibility.PRIVATE, True), (Visibility.SHARED, True), (Visibility.SHARED, False)


def _seen(principal: Principal, **facts: Any) -> list[tuple[Visibility, bool | None]]:
    return [(each.visibility, each.own) for each in reaches(ListQuery(principal, NOW, **facts), on="sqlite")]


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        (Principal(ACME, Kind.ANONYMOUS), [_PUBLIC]),
        (Principal(ACME, Kind.USER), [_PUBLIC, _PROTECTED]),
        (ANN, [_PUBLIC, _PROTECTED, _PRIVATE, _OWN, _OTHERS]),
        (Principal(ACME, Kind.SERVICE), [(each, None) for each in Visibility]),
    ],
    ids=["anonymous", "nameless", "user", "service"],
)
def test_who_sees_what(principal: Principal, expected: list[tuple[Visibility, bool | None]]) -> None:
    assert _seen(principal) == expected


def test_only_the_visibility_that_is_asked_for_is_read() -> None:
    assert _seen(ANN, visibility=Visibility.SHARED) == [_OWN, _OTHERS]


@pytest.mark.parametrize("facts", [{"owner_id": "bob"}, {"owner_type": "session"}], ids=str)
def test_others_files_are_not_looked_for_among_his_own(facts: dict[str, Any]) -> None:
    assert _seen(ANN, **facts) == [_PUBLIC, _PROTECTED, _OTHERS]


@pytest.mark.parametrize("facts", [{"search": "a\0"}, {"tag": "\ud800"}], ids=["nul", "surrogate"])
def test_words_that_no_record_can_hold_are_not_looked_for(facts: dict[str, Any]) -> None:
    assert _seen(ANN, **facts) == []


def test_shares_are_looked_for_under_every_name_he_has() -> None:
    shared = reaches(ListQuery(ANN, NOW), on="sqlite")[-1]
    values = shared.values(None)
    names = [(values[f"type{at}"], values[f"name{at}"]) for at in range(shared.shape(None).named)]
    assert names == [("user", "ann"), ("role", "editor"), ("group", "cats")]
