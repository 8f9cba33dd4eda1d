"""The environment, read once and checked."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from imgproxy.files.database_url import SqliteUrl
from imgproxy.image.colour import BLACK, WHITE, Colour
from imgproxy.image.formats import Format
from imgproxy.settings import SettingsError, read, variables
from imgproxy.storage.local import LocalOptions


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variables():
        monkeypatch.delenv(name, raising=False)


def refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(f"IMGPROXY_{name}", value)
    with pytest.raises(SettingsError) as refused:
        read()
    return str(refused.value)


def test_every_default_works_on_a_laptop() -> None:
    settings = read()
    assert settings.storage == LocalOptions(Path("data/objects"))
    assert settings.database == SqliteUrl(Path("data/imgproxy.db"))
    assert (settings.unregistered, settings.unsigned, settings.metadata) == ("deny", "allow", "strip")
    assert settings.quality == {Format.JPEG: 80, Format.WEBP: 80, Format.AVIF: 63}
    assert settings.effort == {Format.WEBP: 4, Format.AVIF: 0}
    assert settings.background == WHITE
    assert settings.signer is None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("TTL", "90", 90),
        ("TTL", "5min", 300),
        ("TTL", "1h", 3600),
        ("STALE", "1d", 86_400),
        ("DEADLINE", "1500ms", 1.5),
        ("MEMORY_BYTES", "1MiB", 1_048_576),
        ("MAX_SOURCE_BYTES", "5000", 5000),
        ("AUTO_FORMATS", "webp", (Format.WEBP,)),
        ("AUTO_FORMATS", " webp , jpg ", (Format.WEBP, Format.JPEG)),
        ("QUALITY", "jpeg=75", {Format.JPEG: 75}),
        ("BACKGROUND", "Red", Colour(255, 0, 0)),
        ("BACKGROUND", "0a0b0c", Colour(10, 11, 12)),
        ("SIGNING_SECRETS", "new-secret, old-secret", ("new-secret", "old-secret")),
        ("ONLY_PRESETS", "0", False),
        ("PRESIGN_TTL", "15min", 900),
        ("PUBLIC_URL", "https://img.example:8443", "https://img.example:8443"),
        (
            "CORS_ORIGINS",
            "https://a.example, http://localhost:3000",
            ("https://a.example", "http://localhost:3000"),
        ),
        ("CORS_ORIGINS", "*", ("*",)),
        ("TRUSTED_PROXIES", "10.0.0.0/8, fd00::1", (ip_network("10.0.0.0/8"), ip_network("fd00::1"))),
    ],
)
def test_values_are_written_as_people_write_them(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(f"IMGPROXY_{name}", text)
    assert getattr(read(), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("QUEUE", "many", "integer"),
        ("QUEUE", "-1", "greater than or equal to 0"),
        ("TTL", "soon", "a duration such as"),
        ("UNSIGNED", "maybe", "'allow' or 'deny'"),
        ("AUTO_FORMATS", "bmp", "'bmp' is none"),
        ("QUALITY", "jpeg=800", "numbers from 1 to 100"),
        ("QUALITY", "jpeg", "not 'jpeg'"),
        ("COMPAT", "thumbor", "'imagor'"),
        ("BACKGROUND", "nocolour", "a colour name or hex digits"),
        ("BACKGROUND", "none", "must be opaque"),
        ("STORAGE", "ftp://x", "expected file://DIR"),
        ("STORAGE", "s3://bucket?colour=red", "colour"),
        ("PRESETS", "card=300x200/filters:nope()", "the preset 'card'"),
        ("SIGNING_TRUNCATE", "5", "SIGNING_SECRETS"),
        ("MAX_SIDE", "0", "greater than or equal to 1"),
        ("PUBLIC_URL", "https://img.example/below", "without a path"),
        ("PUBLIC_URL", "img.example", "https://HOST"),
        ("CORS_ORIGINS", "*,https://a.example", "https://HOST"),
        ("CORS_ORIGINS", "https://a.example/", "without a path"),
        ("PRESIGN_TTL", "0", "greater than or equal to 1"),
        ("DOWNLOAD_TTL", "8d", "less than or equal to 604800"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "not '10.0.0.1/8'"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, says: str
) -> None:
    monkeypatch.setenv("IMGPROXY_SIGNING_SECRETS", "new-secret")
    line = refusal(monkeypatch, **{name: text})
    assert line.startswith("IMGPROXY_")
    assert name in line or says == "SIGNING_SECRETS"
    assert says in line
    assert "\n" not in line


def test_a_secret_is_not_shown_even_when_it_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hunter2" not in refusal(monkeypatch, STORAGE="s4://user:hunter2@bucket")


def test_a_short_secret_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(monkeypatch, SECRET="hunter2") == "IMGPROXY_SECRET: at least 16 characters are expected"


@pytest.mark.parametrize("name", ["SIGNING_SECRETS", "PURGE_SECRET"])
def test_secrets_of_fewer_than_8_characters_stop_the_start_and_fewer_than_16_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    line = refusal(monkeypatch, **{name: "hunter2"})
    assert line == f"IMGPROXY_{name}: at least 8 characters are expected, 16 are better"
    monkeypatch.setenv(f"IMGPROXY_{name}", "hunter22")
    assert read().short_secrets == (f"IMGPROXY_{name}",)
    monkeypatch.setenv(f"IMGPROXY_{name}", "hunter22hunter22")
    assert read().short_secrets == ()
    assert "hunter2" not in repr(read())


def test_signing_secrets_are_each_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "at least 8" in refusal(monkeypatch, SIGNING_SECRETS="long-enough-for-anybody,hunter2")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("JWKS_URL", "https://olga:hunter2@id.example/keys"),
        ("JWKS_URL", "https://hunter2@id.example/keys"),
        ("JWKS_URL", "olga:hunter2@id.example/keys"),
        ("JWKS_URL", "https://olga:hunter2/@:?@id.example"),
        ("JWKS_URL", "https://olga:the hunter2@id.example"),
        ("JWKS_URL", "ftp://id.example/keys?key=hunter2"),
        ("PUBLIC_URL", "https://olga:hunter2@img.example"),
        ("CORS_ORIGINS", "https://olga:hunter2@a.example"),
        ("CORS_ORIGINS", "https://olga:x,hunter2@a.example"),
        ("TRUSTED_PROXIES", "http://olga:hunter2@10.0.0.1"),
        ("TRUSTED_PROXIES", "http://olga:x,hunter2@10.0.0.1"),
        ("PURGE_URLS", "ftp://olga:hunter2@a.example/{key}"),
        ("PURGE_URLS", "https://olga:hunter2@a.example/"),
        ("STORAGE", "s3://olga:hunter2@bucket"),
        ("STORAGE", "s3://bucket?endpoint=http://olga:hunter2@minio"),
        ("DATABASE", "mysql://olga:hunter2@db/x"),
        ("DATABASE", "postgresql://olga:hunter2@db"),
        ("TTL", "https://olga:hunter2@mistaken.example"),
    ],
)
def test_a_password_in_a_url_is_masked_in_the_error(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    line = refusal(monkeypatch, **{name: text})
    assert line.startswith(f"IMGPROXY_{name}")
    assert "hunter2" not in line


def test_the_secret_is_drawn_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read().key_for("x") != read().key_for("x")
    monkeypatch.setenv("IMGPROXY_SECRET", "0123456789abcdef")
    assert read().key_for("x") == read().key_for("x") != read().key_for("y")
    assert "0123456789abcdef" not in repr(read())


def test_what_would_serve_nothing_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "holds no secret" in refusal(monkeypatch, UNSIGNED="deny")
    assert "names no preset" in refusal(monkeypatch, UNSIGNED="allow", ONLY_PRESETS="1")


def test_sources_bytes_has_room_for_two_of_the_largest_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read().sources_bytes == 256 * 1024**2
    monkeypatch.setenv("IMGPROXY_MAX_SOURCE_BYTES", "200MiB")
    assert read().sources_bytes == 400 * 1024**2
    line = refusal(monkeypatch, SOURCES_BYTES="199MiB")
    assert line.startswith("IMGPROXY_SOURCES_BYTES=208666624: at least IMGPROXY_MAX_SOURCE_BYTES")


def test_compat_imagor_implies_its_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPROXY_COMPAT", "imagor")
    settings = read()
    assert (settings.shrink, settings.metadata, settings.background) == ("exact", "keep", BLACK)
    assert settings.quality == {Format.JPEG: 75, Format.WEBP: 75}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("SHRINK", "fast", "fast"),
        ("METADATA", "strip", "strip"),
        ("BACKGROUND", "white", WHITE),
        ("QUALITY", "jpeg=80", {Format.JPEG: 80}),
    ],
)
def test_compat_gives_way_to_a_setting_of_its_own(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv("IMGPROXY_COMPAT", "imagor")
    implied = read()
    monkeypatch.setenv(f"IMGPROXY_{name}", text)
    settings = read()
    assert getattr(settings, name.lower()) == value
    others = [each for each in ("shrink", "metadata", "background", "quality") if each != name.lower()]
    assert [getattr(settings, each) for each in others] == [getattr(implied, each) for each in others]


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPROXY_QUEUE", "")
    assert read().queue == 64


def test_an_unknown_variable_stops_the_start_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(monkeypatch, MAX_PIXEL="9") == (
        "IMGPROXY_MAX_PIXEL: is no setting; the nearest is IMGPROXY_MAX_PIXELS"
    )


def test_another_name_of_a_setting_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPROXY_SIGNING_SECRETS_ALGORITHM", "sha1")
    assert read().signing_algorithm == "sha1"


def test_every_variable_says_what_it_means() -> None:
    assert all(text for text in variables().values())


def test_a_jwt_secret_that_hs256_could_not_use_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = "IMGPROXY_JWT_SECRET: at least 32 bytes are expected"
    assert refusal(monkeypatch, JWT_SECRET="short-and-secret") == expected


@pytest.mark.parametrize(
    "url", ["issuer.example/keys", "ftp://issuer.example/", "https://user@issuer.example"]
)
def test_an_address_that_can_have_no_keys_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = url.replace("https://user@", "***@")
    assert refusal(monkeypatch, JWKS_URL=url).startswith(f"IMGPROXY_JWKS_URL={shown}: an address such as")


def test_a_database_that_cannot_be_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    line = refusal(monkeypatch, DATABASE="mysql://root:hunter2@localhost/files")
    assert line.startswith("IMGPROXY_DATABASE: ")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IMGPROXY_PURGE_URLS", "https://user:hunter2@cdn.example/"),
        ("IMGPROXY_PURGE_URLS", "hunter2/{key}"),
        ("IMGPROXY_PURGE_HEADERS", "hunter2"),
        ("IMGPROXY_PURGE_HEADERS", "a name: hunter2"),
    ],
)
def test_how_caches_in_front_are_told_is_checked_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as raised:
        read()
    assert "hunter2" not in str(raised.value)


def test_caches_in_front_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPROXY_PURGE_URLS", "http://127.0.0.1:8081/{key}, POST https://cdn.example/purge")
    monkeypatch.setenv("IMGPROXY_PURGE_HEADERS", "Fastly-Key: a, Accept: b")
    assert read().purge_urls == ("http://127.0.0.1:8081/{key}", "POST https://cdn.example/purge")
    assert read().purge_headers == ("Fastly-Key: a", "Accept: b")
