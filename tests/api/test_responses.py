"""How a file becomes an answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgproxy.api.responses import instant, public_record, record, shares_told
from imgproxy.files.model import FileState, Owner, Share, Visibility
from tests.files.test_policy import a_file

BASE = "https://img.example"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000_007, "2027-01-15T08:00:00.007Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_told_in_utc_with_milliseconds(milliseconds: int, text: str) -> None:
    assert instant(milliseconds) == text


def test_others_are_told_nothing_of_whose_a_file_is_and_what_is_written_to_it() -> None:
    private = replace(a_file(), metadata={"a": 1}, related_entity_id="order-7", owner=Owner("user", "olga"))
    told = public_record(private, base=BASE).model_dump_json(by_alias=True)
    for secret in ("olga", "metadata", "order-7", "objectKey", private.object_key, "version"):
        assert secret not in told


def test_nobody_is_told_where_the_bytes_lie() -> None:
    assert a_file().object_key not in record(a_file(), base=BASE).model_dump_json()


@pytest.mark.parametrize(
    ("visibility", "state", "url"),
    [
        (Visibility.PUBLIC, FileState.READY, f"{BASE}/images/Xy/cat.jpg"),
        (Visibility.PUBLIC, FileState.DELETED, None),
        (Visibility.PRIVATE, FileState.READY, None),
        (Visibility.PROTECTED, FileState.READY, None),
        (Visibility.SHARED, FileState.READY, None),
    ],
)
def test_only_what_anybody_may_see_has_a_url(
    visibility: Visibility, state: FileState, url: str | None
) -> None:
    assert public_record(a_file(visibility, state), base=BASE).url == url


def test_a_record_is_told_in_camel_case() -> None:
    told = record(a_file(), base=BASE).model_dump(by_alias=True)
    assert told["originalName"] == "cat.jpg"
    assert told["s3Key"] == told["key"]
    assert told["ownerId"] == "olga"


def test_a_share_is_told_with_its_end() -> None:
    told = shares_told([Share("user", "sam", expires_at=0), Share("role", "editor")])
    assert told.model_dump_json(by_alias=True) == (
        '{"shares":[{"type":"user","id":"sam","expiresAt":"1970-01-01T00:00:00.000Z"},'
        '{"type":"role","id":"editor","expiresAt":null}]}'
    )
