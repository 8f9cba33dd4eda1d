"""A client is answered with what it can show, and never with what it did not name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.image.formats import TRAITS, WRITTEN, Format
from imgproxy.image.header import ImageHeader
from imgproxy.image.negotiate import Output, choose, negotiate

AUTOMATIC = (Format.AVIF, Format.WEBP)
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SAFARI = "image/webp,image/avif,image/jxl,image/heic,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"


@pytest.mark.parametrize(
    ("accept", "candidates"),
    [
        (CHROME, AUTOMATIC),
        (SAFARI, AUTOMATIC),
        ("image/webp,*/*", (Format.WEBP,)),
        ("IMAGE/WEBP", (Format.WEBP,)),
        ("image/*,*/*;q=0.8", ()),
        ("*/*", ()),
        ("", ()),
        (None, ()),
        ("image/avif;q=0.5,image/webp;q=0.9", (Format.WEBP, Format.AVIF)),
        ("image/avif;q=\x1f0.5,image/webp;q=0.9", (Format.WEBP, Format.AVIF)),
        ("image/avif;q=0,image/webp", (Format.WEBP,)),
        ("image/webp;q=0.1,*/*", ()),
        ("image/webp;q=nonsense", ()),
        ("image/webp;v=1;q=1.000", (Format.WEBP,)),
        ("text/html", ()),
    ],
)
def test_types_are_negotiated_when_they_are_named(accept: str | None, candidates: tuple[Format, ...]) -> None:
    output = negotiate(None, accept, automatic=AUTOMATIC)
    assert output.candidates == candidates
    assert output.negotiated


def test_what_is_expressly_not_taken_is_remembered() -> None:
    assert negotiate(None, "image/avif;q=0,*/*", automatic=AUTOMATIC).refused == (Format.AVIF,)


def test_the_urls_word_ends_the_matter() -> None:
    output = negotiate(Format.PNG, CHROME, automatic=AUTOMATIC)
    assert (output.candidates, output.negotiated) == ((Format.PNG,), False)


def test_where_nothing_is_automatic_accept_has_no_say() -> None:
    assert negotiate(None, CHROME, automatic=()) == Output()


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["image/webp", ";", "q=", "0.5", ",", "*/*"])).map("".join)
)
def test_any_header_is_read(accept: str) -> None:
    output = negotiate(None, accept, automatic=AUTOMATIC)
    assert set(output.candidates) <= set(AUTOMATIC)
    assert not set(output.candidates) & set(output.refused)


def test_few_different_headers_are_left_for_keys() -> None:
    texts = {negotiate(None, accept, automatic=AUTOMATIC).canonical() for accept in (CHROME, SAFARI)}
    assert texts == {"avif,webp"}
    assert negotiate(None, "image/avif;q=0,image/webp", automatic=AUTOMATIC).canonical() == "webp!avif"


def facts(kind: Format, *, pages: int = 1, alpha: bool = False) -> ImageHeader:
    return ImageHeader(kind, 100, 100, pages=pages, alpha=alpha)


def test_the_first_candidate_is_written() -> None:
    assert choose(Output(AUTOMATIC, negotiated=True), facts(Format.JPEG)) is Format.AVIF


def test_an_animation_is_not_stopped_by_negotiation() -> None:
    moving = facts(Format.GIF, pages=9)
    assert choose(Output(AUTOMATIC, negotiated=True), moving) is Format.WEBP
    assert choose(Output((Format.AVIF,), negotiated=True), moving) is Format.GIF


def test_the_urls_word_is_written_whatever_it_loses() -> None:
    assert choose(Output((Format.JPEG,)), facts(Format.GIF, pages=9, alpha=True)) is Format.JPEG


@pytest.mark.parametrize("kind", WRITTEN)
def test_without_a_candidate_the_source_stays_what_it_is(kind: Format) -> None:
    assert choose(Output(), facts(kind)) is kind


def test_a_client_that_refuses_the_sources_type_gets_one_that_everybody_shows() -> None:
    refusing = Output(refused=(Format.WEBP,), negotiated=True)
    assert choose(refusing, facts(Format.WEBP, alpha=True)) is Format.PNG
    assert choose(refusing, facts(Format.WEBP)) is Format.JPEG


@given(st.sampled_from(list(Format)), st.integers(1, 3), st.lists(st.sampled_from(WRITTEN), unique=True))
def test_whatever_is_chosen_can_be_written(kind: Format, pages: int, candidates: list[Format]) -> None:
    for negotiated in (True, False):
        chosen = choose(Output(tuple(candidates), negotiated=negotiated), facts(kind, pages=pages))
        assert TRAITS[chosen].written
