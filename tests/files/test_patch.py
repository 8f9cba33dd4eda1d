"""What a patch makes of a file."""

from __future__ import annotations

from typing import Any

import pytest

from imgproxy.errors import InvalidRequest
from imgproxy.files.model import Visibility
from imgproxy.files.patch import MAX_METADATA_BYTES, merged, patched
from tests.files.samples import file


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging_is_as_the_rfc_has_it(target: Any, patch: Any, expected: Any) -> None:
    assert merged(target, patch) == expected


def test_merging_leaves_what_it_merges_into_as_it_was() -> None:
    target = {"a": {"b": 1}}
    merged(target, {"a": {"b": 2}})
    assert target == {"a": {"b": 1}}


def test_what_is_left_out_stays() -> None:
    before = file(alt="a cat", tags=("cat",), metadata={"a": 1})
    assert patched(before, {"description": "asleep"}) == file(
        id=before.id, alt="a cat", tags=("cat",), metadata={"a": 1}, description="asleep"
    )


@pytest.mark.parametrize(
    ("field", "emptied"), [("alt", None), ("category", None), ("tags", ()), ("metadata", {})]
)
def test_null_empties(field: str, emptied: object) -> None:
    before = file(alt="a cat", category="cats", tags=("cat",), metadata={"a": 1})
    assert getattr(patched(before, {field: None}), field) == emptied


def test_only_a_flip_is_the_edges_business() -> None:
    before = file()
    assert patched(before, {"alt": "a cat", "visibility": Visibility.PUBLIC}).generation == before.generation
    assert patched(before, {"visibility": Visibility.SHARED}).generation == before.generation + 1


def test_what_no_patch_may_change_is_left_alone() -> None:
    before = file()
    assert patched(before, {"id": "1", "key": "a", "owner": None, "size": 1, "state": "purged"}) == before


def test_many_patches_come_to_no_more_metadata_than_one_may_bring() -> None:
    before = file(metadata={"a": "x" * (MAX_METADATA_BYTES - 20)})
    assert patched(before, {"metadata": {"a": None, "b": 1}}).metadata == {"b": 1}
    with pytest.raises(InvalidRequest, match="metadata"):
        patched(before, {"metadata": {"b": "twenty characters more"}})
