"""Tests of `imgproxy.files.fields`: a declared field is stored, read, given, and purged as declared."""

from __future__ import annotations

from dataclasses import fields, replace

from imgproxy.files.fields import FIELDS, INPUTS, file_of_row, file_row, given_values, purged_values, stored
from imgproxy.files.model import File
from imgproxy.files.tables import facts
from tests.files import samples

FULL = samples.file(
    category="cats", description="mine", alt="a cat", tags=("a", "b"), metadata={"a": [1]}, width=1, height=2
)


def test_fields_are_all_fields_of_a_file() -> None:
    assert [each.name for each in FIELDS] == [each.name for each in fields(File)]


def test_file_row_and_file_of_row_are_inverses_in_the_order_of_the_columns() -> None:
    columns = [column.name for column in facts]
    row = {name: file_row(FULL)[name] for name in columns}
    assert row == file_row(FULL)
    assert file_of_row([*row.values()]) == FULL
    assert file_of_row([*(row | {"tags": '["a","b"]', "metadata": '{"a":[1]}'}).values()]) == FULL


def test_purged_values_empty_every_field_that_says_so() -> None:
    purged = replace(FULL, **purged_values())
    assert (purged.category, purged.description, purged.alt, purged.tags, purged.metadata) == (
        None, None, None, (), {},
    )  # fmt: skip
    assert (purged.key, purged.original_name, purged.size) == (FULL.key, FULL.original_name, FULL.size)


def test_given_values_leave_out_defaults() -> None:
    given = replace(FULL, description=None, metadata={})
    assert given_values(given) == {
        each.name: getattr(given, each.name) for each in INPUTS if getattr(given, each.name) != each.default
    }
    assert given_values(given).keys() & {"alt", "description", "metadata"} == {"alt"}


def test_stored_turns_null_into_the_default() -> None:
    assert (stored("tags", None), stored("metadata", None), stored("alt", None)) == ((), {}, None)
    assert stored("tags", ["a"]) == ("a",)
