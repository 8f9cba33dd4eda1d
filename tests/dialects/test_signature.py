"""Only who has a secret can sign, and what is signed is exactly what was received."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.dialects.signature import Algorithm, Signer, digest

PATH = "fit-in/300x200/filters:quality(80)/photos/cat.jpg"


@pytest.mark.parametrize(
    ("algorithm", "truncate", "secret", "path", "signature"),
    [  # made by libthumbor and by imagor's documentation
        (
            "sha1",
            0,
            "my-security-key",
            "300x200/smart/s.glbimg.com/et/bb/f/original/2011/03/24/VN0JiwzmOw0b0lg.jpg",
            "pmpqu7scjqUn0qoO4FsfSg3oTTM=",
        ),
        (
            "sha256",
            40,
            "mysecret",
            "500x500/top/raw.githubusercontent.com/cshum/imagor/master/testdata/gopher.png",
            "IGEn3TxngivD0jy4uuiZim2bdUCvhcnVi1Nm0xGy",
        ),
    ],
)
def test_signatures_are_those_of_thumbor_and_imagor(
    algorithm: Algorithm, truncate: int, secret: str, path: str, signature: str
) -> None:
    signer = Signer((secret,), algorithm, truncate)
    assert signer.sign(path) == signature
    assert signer.verify(signature, path)


def test_the_first_secret_signs_and_all_verify() -> None:
    old, new = Signer(("old",)), Signer(("new",))
    both = Signer(("new", "old"))
    assert both.sign(PATH) == new.sign(PATH)
    assert both.verify(old.sign(PATH), PATH)
    assert both.verify(new.sign(PATH), PATH)
    assert not new.verify(old.sign(PATH), PATH)


def test_every_secret_is_compared_even_after_one_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(
        "imgproxy.dialects.signature.hmac.compare_digest", lambda *pair: compared.append(pair) or True
    )
    Signer(("a", "b", "c")).verify("anything", PATH)
    assert len(compared) == 3


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_padding_may_be_missing_and_nothing_else(algorithm: Algorithm) -> None:
    signer = Signer(("secret",), algorithm)
    stripped = signer.sign(PATH).rstrip("=")
    assert signer.verify(stripped, PATH)
    assert not signer.verify(stripped[:-1], PATH)
    assert not signer.verify(stripped + "A", PATH)
    assert not signer.verify(stripped.swapcase(), PATH)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("truncate", [0, 28])
def test_canonical_is_the_signature_that_sign_gives(algorithm: Algorithm, truncate: int) -> None:
    old = Signer(("old",), algorithm, truncate)
    both = Signer(("new", "old"), algorithm, truncate)
    for written in (old.sign(PATH), both.sign(PATH)):
        for spelling in (written, written.rstrip("="), f"{written}=", f"{written}==="):
            assert both.canonical(spelling, PATH) == written


@pytest.mark.parametrize("signature", ["", "=", "====", "ä", "\udcff", "A" * 10_000])
def test_nonsense_is_no_signature(signature: str) -> None:
    assert Signer(("secret",)).canonical(signature, PATH) is None
    assert not Signer(("secret",)).verify(signature, PATH)


def test_a_whole_signature_does_not_pass_where_short_ones_are_expected() -> None:
    assert not Signer(("secret",), truncate=20).verify(Signer(("secret",)).sign(PATH), PATH)


def test_without_a_secret_nothing_verifies_and_nothing_signs() -> None:
    assert not Signer().verify(digest("", PATH, algorithm="sha256"), PATH)
    with pytest.raises(ValueError, match="no secret"):
        Signer().sign(PATH)


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="everybody"):
        Signer(("good", ""))


def test_a_signature_too_short_to_be_seen_as_one_is_refused() -> None:
    assert len(Signer(("secret",), truncate=17).sign(PATH)) == 17
    with pytest.raises(ValueError, match="17"):
        Signer(("secret",), truncate=16)


def test_secrets_are_not_shown() -> None:
    assert "hush" not in repr(Signer(("hush",)))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_signature_is_good_for_its_own_text_alone(text: str, other: str) -> None:
    signer = Signer(("secret",))
    assert signer.verify(signer.sign(text), text)
    assert signer.verify(signer.sign(text), other) is (text == other)


def test_bytes_that_are_no_text_are_signed_as_received() -> None:
    signer = Signer(("secret",))
    assert signer.sign("\udcff") != signer.sign("\udcfe")
