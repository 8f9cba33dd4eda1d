"""What the files API calls things."""

from __future__ import annotations

import os
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.files.id_generator import Entropy, IdGenerator, safe_name, uuid7
from imgproxy.files.model import FileId, TenantId, UploadId
from imgproxy.image.source import parse_key

NAMES = IdGenerator(lambda: 1_790_000_000_000, os.urandom)
LOWEST = IdGenerator(lambda: 0, bytes)
HIGHEST = IdGenerator(lambda: 0, lambda size: b"\xff" * size)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cat.jpg", "cat.jpg"),
        ("Cat_2-a.JPG", "Cat_2-a.JPG"),
        ("Été à  Zürich.jpeg", "Ete-a-Zurich.jpeg"),
        ("猫.png", "file.png"),
        ("猫", "file"),
        ("...", "file"),
        (".htaccess", "file.htaccess"),
        ("a.tar.gz", "a.tar.gz"),
        ("<script>.svg", "script.svg"),
        ("a.%", "a"),
        ("x" * 300 + ".jpg", "x" * 96 + ".jpg"),
        ("a." + "b" * 300, "a." + "b" * 98),
        ("100% real?.gif", "100-real.gif"),
    ],
)
def test_a_safe_name_stands_in_any_url(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert parse_key(safe_name(name)) == safe


@pytest.mark.parametrize(("ids", "drawn"), [(LOWEST, "0" * 22), (HIGHEST, "7n42DGM5Tflk9n8mt7Fhc7")])
def test_a_key_s_lot_is_always_of_one_length(ids: IdGenerator, drawn: str) -> None:
    assert ids.key("images", "cat.jpg") == f"images/{drawn}/cat.jpg"


@pytest.mark.parametrize("tenant", ["acme", "org-1.b_c"])
def test_objects_lie_in_the_folder_of_their_tenant(tenant: str) -> None:
    assert NAMES.staging_key(TenantId(tenant), UploadId("u")) == f"staging/{tenant}/u"
    assert NAMES.object_key(TenantId(tenant), FileId("f")).startswith(f"files/{tenant}/f/")


@pytest.mark.parametrize("tenant", ["..", ".", "", "a/b", "../other", "ä", "x" * 65, "a\n", "acme\n"])
def test_a_tenant_of_any_name_has_one_folder_of_its_own(tenant: str) -> None:
    prefix, folder, upload = NAMES.staging_key(TenantId(tenant), UploadId("u")).split("/")
    assert (prefix, upload) == ("staging", "u")
    assert parse_key(folder) == folder
    assert folder != NAMES.staging_key(TenantId(f"{tenant}2"), UploadId("u")).split("/")[1]


def test_no_random_byte_is_given_twice() -> None:
    source = iter(range(10_000))
    lots = Entropy(lambda size: bytes(next(source) % 251 for _ in range(size)))
    drawn = b"".join(lots(16) for _ in range(128))
    assert drawn == bytes(each % 251 for each in range(2048))


def test_what_is_drawn_is_of_the_size_that_was_asked_for() -> None:
    lots = Entropy(os.urandom)
    assert [len(lots(size)) for size in (1000, 100, 16, 1000)] == [1000, 100, 16, 1000]


_TIMES = st.integers(0, 2**48 - 1)


@given(now=_TIMES, drawn=st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_of_version_7_that_tells_when_it_was_drawn(now: int, drawn: bytes) -> None:
    made = uuid7(now, lambda count: drawn[:count])
    assert (uuid.UUID(made).version, uuid.UUID(made).variant) == (7, uuid.RFC_4122)
    assert uuid.UUID(made).int >> 80 == now


@given(now=_TIMES, later=_TIMES)
def test_ids_sort_by_when_they_were_drawn(now: int, later: int) -> None:
    earlier, last = sorted((now, later))
    if earlier != last:
        assert uuid7(earlier, os.urandom) < uuid7(last, os.urandom)


@given(one=st.binary(min_size=10, max_size=10), other=st.binary(min_size=10, max_size=10))
def test_74_of_the_drawn_bits_count(one: bytes, other: bytes) -> None:
    def bits(drawn: bytes) -> int:
        return int.from_bytes(drawn, "big") & (1 << 74) - 1

    same = uuid7(0, lambda _: one) == uuid7(0, lambda _: other)
    assert same == (bits(one) == bits(other))
