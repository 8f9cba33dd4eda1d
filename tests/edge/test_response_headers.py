"""From a picture to headers."""

from __future__ import annotations

import pytest

from imgproxy.edge.response_headers import Freshness, cache_control, disposition, nginx_seconds, tags
from imgproxy.edge.source_access import SourceGrant
from imgproxy.errors import NotFound
from imgproxy.image.options import Options
from imgproxy.image.source import parse_key

FRESH = Freshness(3600, 300, 86_400)
KEY = parse_key('a/päiväkoti "x".png')


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), "public, max-age=3600, s-maxage=300, stale-while-revalidate=86400, stale-if-error=86400"),
        (
            Options(max_age=60),
            "public, max-age=60, s-maxage=60, stale-while-revalidate=86400, stale-if-error=86400",
        ),
        (Options(max_age=0), "private, no-store"),
        (Options(expire=1_100_000), "public, max-age=100, s-maxage=100"),
        (Options(expire=1_100_000, max_age=20), "public, max-age=20, s-maxage=20"),
        (Options(expire=99_000_000), "public, max-age=3600, s-maxage=300"),
    ],
)
def test_freshness_is_the_deployments_unless_the_url_says(options: Options, expected: str) -> None:
    assert cache_control(options, FRESH, 1000.0) == expected


def test_nothing_stands_in_for_an_answer_where_the_deployment_wants_none() -> None:
    assert cache_control(Options(), Freshness(10, 10, 0), 0) == "public, max-age=10, s-maxage=10"


@pytest.mark.parametrize(
    ("options", "expected", "nginx"),
    [
        (Options(), "public, max-age=3600, s-maxage=300", 300),
        (Options(max_age=60), "public, max-age=60, s-maxage=60", 60),
        (Options(max_age=4000), "public, max-age=4000, s-maxage=300", 300),
        (Options(expire=1_400_000), "public, max-age=400, s-maxage=300", 0),
    ],
)
def test_no_shared_cache_keeps_a_file_for_longer_than_the_deployment_says(
    options: Options, expected: str, nginx: int
) -> None:
    freshness = FRESH.of_records()
    assert (cache_control(options, freshness, 1000.0), nginx_seconds(options, freshness)) == (expected, nginx)


@pytest.mark.parametrize("moment", [1_000_000, 1_000_500])
def test_an_expired_url_is_not_found(moment: int) -> None:
    with pytest.raises(NotFound):
        cache_control(Options(expire=moment), FRESH, 1000.0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), 300),
        (Options(max_age=60), 60),
        (Options(max_age=4000), 4000),
        (Options(max_age=0), 0),
        (Options(expire=99_000_000), 0),
        (Options(expire=99_000_000, max_age=60), 0),
    ],
)
def test_nginx_keeps_it_as_long_as_cdns_and_never_what_expires(options: Options, expected: int) -> None:
    assert nginx_seconds(options, FRESH) == expected


@pytest.mark.parametrize(
    ("attachment", "mime", "expected"),
    [
        (None, "image/webp", 'inline; filename="p_iv_koti _x_.webp"'),
        ("", "image/png", 'attachment; filename="p_iv_koti _x_.png"'),
        ("cat", "image/jpeg", 'attachment; filename="cat.jpg"'),
        ("cat.jpg", "image/jpeg", 'attachment; filename="cat.jpg"'),
        ("cat.jpg", "image/avif", 'attachment; filename="cat.jpg.avif"'),
        ("a\r\nSet-Cookie: x", "image/png", 'attachment; filename="a__Set-Cookie_ x.png"'),
    ],
)
def test_a_name_fits_its_type_and_cannot_leave_its_header(
    attachment: str | None, mime: str, expected: str
) -> None:
    value = disposition(Options(attachment=attachment), KEY, mime)
    assert value.split("; filename*=")[0] == expected
    assert "\r" not in value
    assert "\n" not in value


def test_a_name_beyond_ascii_is_told_as_rfc_6266_has_it() -> None:
    assert disposition(Options(attachment="päivä"), KEY, "image/png").endswith(
        "; filename*=UTF-8''p%C3%A4iv%C3%A4.png"
    )


def test_tags_are_hashes_of_keys_and_tenants() -> None:
    grants = [SourceGrant(parse_key(name), "1", 1, 0, tenant="acme") for name in ("a.jpg", "b.jpg", "a.jpg")]
    found = tags(grants)
    assert len(found) == 3
    assert [tag[0] for tag in found] == ["k", "k", "t"]
    assert "acme" not in "".join(found)
