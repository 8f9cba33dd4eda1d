"""Every name an image can have can be written, and is read back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.dialects.source_path import base64_name, escaped, reads_as_base64
from imgproxy.errors import BadKey
from imgproxy.image.source import decode_name

NAMES = st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape")) | st.text(max_size=40)


@given(NAMES)
def test_base64_gives_every_name_back(name: str) -> None:
    assert decode_name(base64_name(name)) == (name, True)


@given(NAMES)
def test_escaping_gives_every_name_back(name: str) -> None:
    if not reads_as_base64(name):
        assert decode_name(escaped(name)) == (name, False)


@given(NAMES)
def test_an_escaped_name_is_ascii_without_structure(name: str) -> None:
    if not reads_as_base64(name):
        assert escaped(name).isascii()
        assert not set(escaped(name)) & set("/?#(),+ ")


@pytest.mark.parametrize("name", ["\ud800", "\udcc3\udca9"])
def test_what_was_never_bytes_has_no_spelling(name: str) -> None:
    for write in (escaped, base64_name):
        with pytest.raises(BadKey):
            write(name)


@pytest.mark.parametrize(
    ("name", "answer"),
    [("b64:Zm9v", True), ("b64:", True), ("b64:a+b", False), ("b64:%41", False), ("b64", False)],
)
def test_names_that_would_be_decoded_again_are_known(name: str, answer: bool) -> None:
    assert reads_as_base64(name) is answer
