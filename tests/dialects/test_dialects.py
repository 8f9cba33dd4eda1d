"""A raw request target becomes a judged request, or one of the asker's errors."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.dialects import DIALECTS, Grammar, presets
from imgproxy.dialects.dialect import Dialect
from imgproxy.dialects.request import Params
from imgproxy.dialects.signature import Signer
from imgproxy.dialects.thumbor import MAX_PATH_BYTES
from imgproxy.errors import BadArgument, BadKey, BadUrl, RequestError
from imgproxy.image.colour import Colour
from imgproxy.image.source import Key, PlainColour
from imgproxy.image.transform import Fit, Limits

SIGNATURE = "VTAq7YIRbEXgtwAcsTMhAjvBuT8="
PRESETS = presets.parse("card=fit-in/300x200/filters:quality(80);avatar=80x80/smart", limits=Limits())
GRAMMAR = Grammar(PRESETS)
ONLY = Grammar(PRESETS, only_presets=True)


def test_a_path_is_read_whole() -> None:
    asked = GRAMMAR.read("/fit-in/300x200/filters:quality(80):watermark(logo.png,0,0)/photos/my%20cat.jpg")
    assert asked.answer == "image"
    assert asked.source == Key("photos/my cat.jpg")
    assert asked.keys == (Key("logo.png"),)
    assert (asked.transform.fit, asked.transform.width, asked.transform.options.quality) == (
        Fit.INSIDE,
        300,
        80,
    )
    assert (asked.signature, asked.unsafe) == (None, False)


def test_a_query_is_read_on_a_bare_name() -> None:
    by_query = GRAMMAR.read("/photos/cat.jpg?w=300&h=200&fit=scale-down&q=80")
    by_path = GRAMMAR.read("/fit-in/300x200/filters:quality(80)/photos/cat.jpg")
    assert (by_query.transform, by_query.source) == (by_path.transform, by_path.source)


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/a.jpg", "image"),
        ("/meta/a.jpg", "meta"),
        ("/unsafe/meta/a.jpg?w=3", "meta"),
        ("/params/a.jpg", "params"),
        ("/params/meta/a.jpg", "params"),
        ("/params/a.jpg?w=3", "params"),
    ],
)
def test_the_url_says_which_answer_it_wants(target: str, answer: str) -> None:
    assert GRAMMAR.read(target).answer == answer


@pytest.mark.parametrize(
    "target",
    [
        "/300x200/a.jpg?w=3",
        "/smart/a.jpg?w=3",
        "/preset:card/a?q=3",
        "/trim/a?w=x/y",
        "/filters:grayscale/a?w=3",
    ],
)
def test_a_url_in_both_forms_is_refused(target: str) -> None:
    with pytest.raises(BadUrl, match="use one of the two"):
        GRAMMAR.read(target)


@pytest.mark.parametrize("start", ["", "/unsafe", f"/{SIGNATURE}", "/params", "/meta", "/unsafe/meta"])
def test_what_is_no_option_may_stand_before_a_query(start: str) -> None:
    assert GRAMMAR.read(f"{start}/a.jpg?w=3").transform.width == 3


@pytest.mark.parametrize(
    ("target", "signed"),
    [
        (f"/{SIGNATURE}/300x200/a.jpg", "300x200/a.jpg"),
        (f"/{SIGNATURE}/a.jpg?w=300&q=80", "a.jpg?w=300&q=80"),
        (f"/{SIGNATURE}/a.jpg?", "a.jpg?"),
        (f"/{SIGNATURE}/a%20b/%C3%A9.jpg", "a%20b/%C3%A9.jpg"),
        (f"/params/{SIGNATURE}/300x200/a.jpg", "300x200/a.jpg"),
        (f"/{SIGNATURE}//300x200/a.jpg", "/300x200/a.jpg"),
        (f"http://host/{SIGNATURE}/300x200/a.jpg", "300x200/a.jpg"),
        (f"/{SIGNATURE}/{SIGNATURE}/a.jpg", f"{SIGNATURE}/a.jpg"),
    ],
)
def test_a_signature_covers_what_follows_it_to_the_last_byte(target: str, signed: str) -> None:
    asked = GRAMMAR.read(target)
    assert (asked.signature, asked.params.path) == (SIGNATURE, signed)


@pytest.mark.parametrize("text", ["300x200/a.jpg", "a.jpg?w=300", "meta/preset:card/a%20b.jpg"])
def test_what_a_signer_signs_is_what_a_request_must_prove(text: str) -> None:
    signer = Signer(("secret",))
    asked = GRAMMAR.read(f"/{signer.sign(text)}/{text}")
    assert asked.signature is not None
    assert signer.verify(asked.signature, asked.params.path)


def test_unsafe_is_told_and_carries_no_signature() -> None:
    asked = GRAMMAR.read("/unsafe/300x200/a.jpg")
    assert (asked.unsafe, asked.signature) == (True, None)


def test_a_plain_colour_is_a_source() -> None:
    assert GRAMMAR.read("/100x100/color:red").source == PlainColour(Colour(255, 0, 0))


def test_params_shows_any_name_and_opens_none() -> None:
    asked = GRAMMAR.read("/params/filters:watermark(../x,0,0)/https://host/%2e%2e/a.jpg")
    assert (asked.source, asked.keys) == (None, ())
    assert asked.params.image == "https://host/../a.jpg"
    assert GRAMMAR.read("/params/").params.image == ""


@pytest.mark.parametrize("target", ["/params/filters:nonsense()/a", "/params/9000x1/a", "/params/a?v=1"])
def test_params_still_judges_what_is_asked(target: str) -> None:
    with pytest.raises(BadArgument):
        GRAMMAR.read(target)


@pytest.mark.parametrize(
    "target",
    ["", "/", "/300x200/", "/unsafe/", "/https://host/a.jpg", "/a/../b", "/%2e%2e/b", "/a//b", "/300x200//b",
     "/a%252e%252e", "/a%5Cb", "/a%00b", "/a%0Ab", "/%FF", "/\udcff", "/a/", "/" + "a" * 1025,
     "/filters:watermark(../x,0,0)/a", "/filters:watermark(,0,0)/a/.", "/color%3a/../red/"],
)  # fmt: skip
def test_names_no_object_can_have_are_refused(target: str) -> None:
    with pytest.raises((BadKey, BadArgument)):
        GRAMMAR.read(target)


@pytest.mark.parametrize("target", ["/a\r\nb", "/a\x00", "/a\x7f", "/a#b", "/a\x85b", "/a\u2028b", "/\ud800"])
def test_raw_control_bytes_and_fragments_are_refused(target: str) -> None:
    with pytest.raises(BadUrl):
        GRAMMAR.read(target)


def test_a_target_too_long_is_refused_query_included() -> None:
    with pytest.raises(BadUrl, match="at most 8190"):
        GRAMMAR.read("/a?" + "&" * MAX_PATH_BYTES)


def test_letters_beyond_ascii_need_no_escape() -> None:
    assert GRAMMAR.read("/日本.jpg").source == GRAMMAR.read("/%E6%97%A5%E6%9C%AC.jpg").source


@pytest.mark.parametrize("target", ["/300x0/a", "300x0/a", "http://host:80/300x0/a", "HTTPS://h/300x0/a"])
def test_the_origin_before_the_path_says_nothing(target: str) -> None:
    assert GRAMMAR.read(target).source == Key("a")


def test_an_origin_within_the_path_is_part_of_a_name() -> None:
    assert GRAMMAR.read("/params/unsafe/https://host/a.jpg").params.image == "https://host/a.jpg"


@pytest.mark.parametrize("target", ["/preset:card/a", "/filters:preset(card)/a", "/a?preset=card"])
def test_a_preset_means_the_same_however_it_is_named(target: str) -> None:
    plain = GRAMMAR.read("/fit-in/300x200/filters:quality(80)/a")
    for grammar in (GRAMMAR, ONLY):
        assert grammar.read(target).transform == plain.transform


@pytest.mark.parametrize(
    "target",
    [
        "/preset:card/a",
        "/meta/preset:card/a",
        "/unsafe/preset:card/a",
        "/params/preset:card/a",
        "/a?preset=card",
    ],
)
def test_where_only_presets_are_allowed_names_and_answers_still_are(target: str) -> None:
    ONLY.read(target)


@pytest.mark.parametrize(
    "target",
    [
        "/a",
        "/unsafe/a",
        "/meta/a",
        "/params/a",
        "/3x3/a",
        "/preset:card/3x3/a",
        "/a?w=3",
        "/a?preset=card&fit=cover",
        "/a?preset=c%61rd",
        "/a?&preset=card",
        "/a?smart=0",
        "/meta/a?smart=0",
        "/0x0/a?preset=card",
        "/filters:preset(card):blur(1)/a",
    ],
)
def test_where_only_presets_are_allowed_the_rest_is_refused(target: str) -> None:
    with pytest.raises(BadArgument, match=r"only presets are allowed here: .* with card, avatar"):
        ONLY.read(target)


@pytest.mark.parametrize(
    "target", ["/filters:preset(card):preset(avatar)/a", "/preset:card/filters:preset(avatar)/a"]
)
@pytest.mark.parametrize("only", [True, False])
def test_max_presets_limits_how_many_presets_one_url_combines(target: str, only: bool) -> None:
    Grammar(PRESETS, only, Limits(max_presets=2)).read(target)
    with pytest.raises(BadArgument, match="preset: at most 1 are allowed, 2 given"):
        Grammar(PRESETS, only, Limits(max_presets=1)).read(target)


def test_limits_are_the_deployments() -> None:
    with pytest.raises(BadArgument, match="at most 100 are allowed"):
        Grammar(limits=Limits(max_side=100)).read("/101x1/a")


@pytest.mark.parametrize(
    ("target", "plain"),
    [
        ("/unsafe/filters%3Afill%28red%29/a.png", "/unsafe/filters:fill(red)/a.png"),
        ("/unsafe/filters%3afill%28red%2c1%29/a", "/unsafe/filters:fill(red,1)/a"),
        ("/OyGJyvfYJw8xNkYDmXU-4NPA2U0%3D/a", "/OyGJyvfYJw8xNkYDmXU-4NPA2U0=/a"),
        ("/a?w%3D300", "/a?w=300"),
        ("/a%2Fb%2Ec%25%32%38", None),
        ("/%252e%252e/a", None),
        ("/%2528", None),
        ("/a.jpg", None),
    ],
)
def test_only_the_grammars_own_characters_are_undone_for_a_second_try(target: str, plain: str | None) -> None:
    assert GRAMMAR.unescaped(target) == plain


@given(st.text("%0123456789abcdefABCDEF/.", max_size=30))
def test_a_second_try_decodes_no_name_twice(text: str) -> None:
    plain = GRAMMAR.unescaped(text)
    assert plain is None or GRAMMAR.unescaped(plain) is None
    assert plain is None or plain.count("/") + plain.count(".") == text.count("/") + text.count(".")


PIECES = [
    "/", "unsafe/", "meta/", "preset:card/", "3x3/", "fit-in/", "smart/", "filters:", "blur(3)", "watermark(",
    ")", ":", ",", "b64:", "%2e", "%28", "%", "?", "&", "w=3", "fit=pad", "pad=3", "color:",
    "\udcff", "a.jpg",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=10).map("".join))
def test_any_target_is_read_or_refused_and_has_a_name(target: str) -> None:
    for grammar in (GRAMMAR, ONLY):
        try:
            asked = grammar.read(target)
        except RequestError as refusal:
            assert str(refusal)  # noqa: PT017  reading it may as well succeed
        else:
            assert asked.transform.canonical().isprintable()


def canonical(target: str) -> str:
    return GRAMMAR.canonical(target, GRAMMAR.read(target), None)


@pytest.mark.parametrize(
    ("target", "spelling"),
    [
        ("//300x0/a", "/300x0/a"),
        ("///unsafe///300x0/a", "/unsafe/300x0/a"),
        ("/unsafe//a", "/unsafe/a"),
        ("/300x0/%61%2Db%7e%5F1", "/300x0/a-b~_1"),
        ("/a?", "/a"),
        ("/a?&&", "/a"),
        ("/a?&w=3&&h=%33&", "/a?w=3&h=3"),
        ("/meta/%61", "/meta/a"),
        ("http://host//300x0/a", "/300x0/a"),
        # they say nothing else, or it would mean another image
        ("/300x0/a", "/300x0/a"),
        ("http://host/300x0/a", "http://host/300x0/a"),
        ("/a?w=3", "/a?w=3"),
        ("/%66it-in/a", "/%66it-in/a"),
        ("/%33x3/a", "/%33x3/a"),
        ("/%6deta/a", "/%6deta/a"),
        ("/a%20b%2Fc%C3%A9%2c", "/a%20b%2Fc%C3%A9%2c"),
        ("/b64%3AYQ", "/b64%3AYQ"),
    ],
)
def test_canonical_drops_what_says_nothing_and_keeps_the_meaning(target: str, spelling: str) -> None:
    assert canonical(target) == spelling


def test_canonical_of_a_signed_target_keeps_what_the_signature_covers() -> None:
    for target in (f"/{SIGNATURE}/300x0/%61.jpg", f"//{SIGNATURE}=/300x0/%61.jpg"):
        asked = GRAMMAR.read(target)
        assert GRAMMAR.canonical(target, asked, SIGNATURE) == f"/{SIGNATURE}/300x0/%61.jpg"


@given(
    st.lists(st.sampled_from([*PIECES, "//", "\\", "%5C", "%2F", "evil.example"]), max_size=8).map("".join)
)
def test_canonical_is_on_this_host_and_says_the_same(target: str) -> None:
    try:
        asked = GRAMMAR.read(target)
    except RequestError:
        return
    if asked.answer == "params" or asked.signature is not None:
        return
    spelling = GRAMMAR.canonical(target, asked, None)
    if spelling != target:
        assert spelling[0] == "/"
        assert spelling[1:2] not in ("/", "\\")
        again = GRAMMAR.read(spelling)
        assert (again.transform, again.source, again.answer) == (asked.transform, asked.source, asked.answer)
        assert GRAMMAR.canonical(spelling, again, None) == spelling


SIGNED = Signer(("secret",))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_every_dialect_parses_what_it_generates(dialect: Dialect) -> None:
    params = Params(unsafe=True, width=300, height=200, smart=True, image="photos/my cat.jpg")
    target = "/" + dialect.generate(params)
    assert dialect.matches(target)
    assert replace(dialect.parse(target), path="").options == params.options
    assert dialect.parse(target).image == params.image


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_every_dialect_verifies_its_signature_to_the_last_byte(dialect: Dialect) -> None:
    path = dialect.generate(Params(width=300, image="cat.jpg"))
    request = GRAMMAR.read(f"/{SIGNED.sign(path)}/{path}")
    assert request.dialect is dialect
    assert dialect.verify(request.params, SIGNED) == SIGNED.sign(path)
    assert dialect.verify(replace(request.params, path=request.params.path + "x"), SIGNED) is None
