"""Settings: the environment, read once, checked once, frozen.

Every variable begins with `IMGPROXY_`, has a default that works on a laptop, and stops the start with one
line when its value cannot be. Only `app` and `cli` import this; everybody else is handed values.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, ByteSize, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from imgproxy import unknown_variables
from imgproxy.cache_sizes import CacheSizes, cache_sizes
from imgproxy.dialects import Grammar, presets
from imgproxy.dialects.signature import Signer
from imgproxy.errors import BadArgument
from imgproxy.files import database_url
from imgproxy.files.database_url import DatabaseUrl
from imgproxy.http.client_address import Network
from imgproxy.image.colour import BLACK, WHITE, Colour, parse_colour
from imgproxy.image.formats import READERS, Format, parse_format
from imgproxy.image.plan import Ceiling
from imgproxy.image.transform import Limits
from imgproxy.masking import masked_message, masked_setting
from imgproxy.purge.target import parse_purge_target
from imgproxy.storage import HIDDEN_PREFIXES, StorageOptions
from imgproxy.storage.storage_url import parse_storage_url
from imgproxy.unknown_variables import PREFIX

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?")
_SECRET_LENGTH = 16  # characters
_SHORTEST_SECRET = 8  # 48 bits if it was drawn, and a dictionary's word if not: guessed offline in hours
_SOURCES_BYTES = 256 * 1024**2
_JWT_SECRET_BYTES = 32  # as many as HS256 makes (RFC 7518 §3.2)
_URL = re.compile(r"https?://(?:[^\s/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?][^\s#]*)?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, None: 1}


def _seconds(value: Any) -> Any:
    found = _DURATION.fullmatch(str(value).strip().lower())
    if found is None:
        raise ValueError("a duration such as 90, 90s, 5min, 1h or 1d is expected")
    return float(found[1]) * _UNITS[found[2]]


def _words(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _formats(value: Any) -> Any:
    names = []
    for word in _words(value):
        found = parse_format(word)
        if found is None:
            raise ValueError(f"a comma list of image types is expected, such as avif,webp; '{word}' is none")
        names.append(found)
    return tuple(names)


def _readers(value: Any) -> Any:
    found = _words(value)
    for each in found:
        if each not in READERS:
            raise ValueError(f"a comma list of {', '.join(READERS)} is expected; '{each}' is none")
    return found


def _numbers(low: int, high: int) -> Any:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = {}
        for part in _words(value):
            name, _, number = part.partition("=")
            format_ = parse_format(name.strip())
            if format_ is None or not number.strip().isdigit() or not low <= int(number) <= high:
                raise ValueError(
                    f"a list such as jpeg=80,webp=80 is expected, numbers from {low} to {high}; not '{part}'"
                )
            found[format_] = int(number)
        return found

    return BeforeValidator(read)


def _opaque(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    expected = "a colour name or hex digits are expected, such as white or ffcc00"
    try:
        colour = parse_colour(value.strip(), "colour")
    except BadArgument:
        raise ValueError(expected) from None
    if colour.alpha < 255:
        raise ValueError(f"{expected}; it must be opaque")
    return colour


def _database(value: Any) -> Any:
    return database_url.parse(value) if isinstance(value, str) else value


def _storage(value: Any) -> Any:
    return parse_storage_url(value) if isinstance(value, str) else value


def _networks(value: Any) -> Any:
    found = []
    for word in _words(value):
        try:
            found.append(ip_network(word))
        except ValueError:
            raise ValueError(
                f"a comma list of networks is expected, such as 10.0.0.0/8; not '{word}'"
            ) from None
    return tuple(found)


_ORIGIN = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def _origin(value: Any) -> Any:
    if value and not _ORIGIN.fullmatch(value):
        raise ValueError("https://HOST[:PORT] is expected, without a path")
    return value


def _origins(value: Any) -> Any:
    found = _words(value)
    if found == ("*",):
        return found
    for each in found:
        _origin(each)
    return found


def _purge_urls(value: Any) -> Any:
    found = _words(value)
    for each in found:
        parse_purge_target(each)
    return found


def _headers(value: Any) -> Any:
    found = _words(value)
    for each in found:
        name, colon, text = each.partition(":")
        if not colon or not _TOKEN.fullmatch(name.strip()) or not text.isprintable():
            raise ValueError("a list of headers is expected, such as Fastly-Key: …")
    return found


def _secret(value: str) -> str:
    if len(value) < _SECRET_LENGTH:
        raise ValueError(f"at least {_SECRET_LENGTH} characters are expected")
    return value


def _old_secret(value: str) -> str:
    """Accept what thumbor's and imagor's users bring along, up to what anybody can guess."""
    if value and len(value) < _SHORTEST_SECRET:
        raise ValueError(f"at least {_SHORTEST_SECRET} characters are expected, {_SECRET_LENGTH} are better")
    return value


def _old_secrets(value: Any) -> Any:
    return tuple(_old_secret(each) for each in _words(value))


def _jwt_secret(value: str) -> str:
    if value and len(value.encode()) < _JWT_SECRET_BYTES:
        raise ValueError(f"at least {_JWT_SECRET_BYTES} bytes are expected")
    return value


def _url(value: str) -> str:
    if value and not _URL.fullmatch(value):
        raise ValueError("an address such as https://issuer.example/.well-known/jwks.json is expected")
    return value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]
Formats = Annotated[tuple[Format, ...], NoDecode, BeforeValidator(_formats)]


def _sources_bytes(fields: dict[str, Any]) -> ByteSize:
    """Return the default: room for some sources, and for two of the largest."""
    return ByteSize(max(_SOURCES_BYTES, 2 * fields.get("max_source_bytes", 0)))


_IMPLIED: dict[str, dict[str, Any]] = {
    "imagor": {
        "shrink": "exact",
        "metadata": "keep",
        "quality": {Format.JPEG: 75, Format.WEBP: 75},
        "background": BLACK,
    }
}
"""Values of settings by those of `compat`."""


class Settings(BaseSettings):
    """One deployment's settings; each field is the variable of its name behind `IMGPROXY_`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        arbitrary_types_allowed=True,
        env_ignore_empty=True,
        populate_by_name=True,
    )

    storage: Annotated[StorageOptions, NoDecode, BeforeValidator(_storage)] = Field(
        default_factory=lambda: parse_storage_url("file://./data/objects"),
        description="URL of the object storage: `file://DIR`, "
        "`s3://BUCKET[/PREFIX]?region=&endpoint=&public_endpoint=&path_style=1` or "
        "`memory://`. `public_endpoint` is the address in presigned URLs, where clients reach"
        " the bucket by another one",
    )
    database: Annotated[DatabaseUrl, NoDecode, BeforeValidator(_database)] = Field(
        default_factory=lambda: database_url.parse("sqlite:///./data/imgproxy.db"),
        description="URL of the database of files: `sqlite:///PATH` or "
        "`postgresql://[USER[:PASSWORD]@]HOST[:PORT]/NAME`. `imgproxy serve` creates and "
        "upgrades the tables, or `imgproxy migrate` does before it",
    )
    unregistered: Literal["deny", "public"] = Field(
        "deny",
        description="Access to objects without a file row. `deny` answers 404, `public` serves every "
        "object of the bucket as an image",
    )
    hidden_prefixes: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        HIDDEN_PREFIXES,
        description="Comma list of key prefixes that belong to the store. They are never served, listed "
        "or written, and neither is a name that begins with a dot",
    )
    source_ttl: Seconds = Field(
        60,
        description="Lifetime of the cached version of an unregistered object. `0` queries storage on each "
        "request",
    )
    unsigned: Literal["allow", "deny"] = Field(
        "allow", description="Access by URLs without a signature. `deny` answers 403 to all of them"
    )
    signing_secrets: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_old_secrets)] = Field(
        (),
        repr=False,
        description="Comma list of secrets for signed URLs. The first signs, all verify; fewer than 16 "
        "characters log a warning, fewer than 8 stop the start",
    )
    signing_algorithm: Literal["sha256", "sha1", "sha512"] = Field(
        "sha256",
        validation_alias=AliasChoices("IMGPROXY_SIGNING_ALGORITHM", "IMGPROXY_SIGNING_SECRETS_ALGORITHM"),
        description="Hash of the HMAC in signatures. thumbor and imagor use `sha1` by default",
    )
    signing_truncate: int = Field(
        0,
        ge=0,
        le=88,
        validation_alias=AliasChoices("IMGPROXY_SIGNING_TRUNCATE", "IMGPROXY_SIGNING_SECRETS_TRUNCATE"),
        description="Number of characters to which signatures are cut. `0` keeps all; fewer than 22 are "
        "not safe",
    )
    purge_secret: Annotated[str, BeforeValidator(_old_secret)] = Field(
        "",
        repr=False,
        description="Secret for `PURGE` requests and `imgproxy purge`. Empty refuses every purge; fewer "
        "than 16 characters log a warning, fewer than 8 stop the start",
    )
    purge_urls: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_purge_urls)] = Field(
        (),
        repr=False,
        description="Comma list of purge URLs of the caches in front, `[POST ]https://…` with `{key}` or "
        "`{tag}`. Each is called when a file changes",
    )
    purge_headers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_headers)] = Field(
        (), repr=False, description="Comma list of headers for every purge URL, such as `Fastly-Key: …`"
    )
    purge_body: str = Field('{"tags":["{tag}"]}', description="JSON body of `POST` purge requests")
    presets: str = Field(
        "",
        description="Named transforms, such as `card=fit-in/300x200/filters:quality(80);face=80x80/smart`",
    )
    only_presets: bool = Field(
        False,
        description="Restriction of URLs to presets. Every URL but `preset:NAME/KEY` is 400, `/KEY` included",
    )
    max_presets: int = Field(3, ge=1, le=100, description="Maximum number of presets in a URL")
    readers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_readers)] = Field(
        tuple(READERS),
        description="Comma list of enabled image readers. A type that none of them reads is 415",
    )
    auto_formats: Formats = Field(
        (Format.AVIF, Format.WEBP),
        description="Image types that may be negotiated when the URL names none, best first",
    )
    quality: Annotated[dict[Format, int], NoDecode, _numbers(1, 100)] = Field(
        {Format.JPEG: 80, Format.WEBP: 80, Format.AVIF: 63}, description="Encoding quality by image type"
    )
    effort: Annotated[dict[Format, int], NoDecode, _numbers(0, 10)] = Field(
        {Format.WEBP: 4, Format.AVIF: 0},
        description="Encoder effort by image type. More effort takes more CPU time and gives fewer bytes",
    )
    shrink: Literal["fast", "exact"] = Field(
        "fast",
        description="Minimum reduction left to the resize after shrink-on-load. `fast` leaves 1.25 (JPEG)"
        " or 1.5 (WebP), `exact` leaves 2 and gives sharper images",
    )
    metadata: Literal["strip", "copyright", "keep"] = Field(
        "strip",
        description="Metadata in responses. `strip` removes all but correct colours, `copyright` leaves "
        "copyright and artist, `keep` leaves everything",
    )
    compat: Literal["", "imagor"] = Field(
        "",
        description="Compatibility mode. `imagor` gives imagor's images to the pixel: exact shrink, "
        "metadata, quality 75, black background, its trim, filters and colours; settings of "
        "your own win",
    )
    background: Annotated[Colour, NoDecode, BeforeValidator(_opaque)] = Field(
        WHITE,
        description="Colour behind transparent parts in types without alpha, such as JPEG: a name or hex "
        "digits",
    )
    secret: Annotated[str, BeforeValidator(_secret)] = Field(
        default_factory=token_urlsafe,
        repr=False,
        description="Secret for the server's own upload and download URLs, of 16 characters or more. All "
        "processes of a deployment need the same; empty generates one at each start",
    )
    public_url: Annotated[str, BeforeValidator(_origin)] = Field(
        "",
        description="Origin under which clients know the server, such as `https://img.example`. Empty "
        "takes the request's",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = Field(
        ("*",),
        description="Comma list of origins whose pages may upload and call the files API. `*` is safe, "
        "because the server never reads a cookie",
    )
    presign_ttl: Seconds = Field(
        900, ge=1, le=604_800, description="Lifetime of an upload URL, 7 days at most"
    )
    publish: Literal["register", "auto"] = Field(
        "register",
        description="Registration of uploads. `register` leaves it to the client, `auto` registers an "
        "upload to a public collection when its bytes arrive",
    )
    upload_metadata: Literal["keep", "strip"] = Field(
        "keep",
        description="Personal metadata of uploaded images. `strip` removes EXIF but the orientation, GPS,"
        " XMP, IPTC and comments at registration",
    )
    download_ttl: Seconds = Field(
        3600,
        ge=1,
        le=604_800,
        description="Lifetime of a download URL, 7 days at most. No client gets a longer one",
    )
    downloads: Literal["direct", "proxy"] = Field(
        "direct",
        description="Route of downloads from a bucket. A `direct` URL of the bucket holds until its time "
        "ends; `proxy` streams through the server and ends with a delete or a change of "
        "visibility",
    )
    jwt_secret: Annotated[str, BeforeValidator(_jwt_secret)] = Field(
        "",
        repr=False,
        description="Secret of HS256 bearer tokens, at least 32 bytes. Empty refuses all of them",
    )
    jwks_url: Annotated[str, BeforeValidator(_url)] = Field(
        "",
        description="URL of the key set (JWKS) of the token issuer, for RS256, PS256, ES256 and EdDSA tokens",
    )
    jwt_issuer: str = Field("", description="Required `iss` of bearer tokens. Empty accepts any")
    jwt_audience: str = Field("", description="Required `aud` of bearer tokens. Empty accepts any")
    jwt_tenant_claim: str = Field(
        "tenant", min_length=1, description="Claim that names the tenant, or the path to it, such as `org.id`"
    )
    jwt_require_tenant: bool = Field(
        True,
        description="Requirement that a token beside a publishable key names its tenant. With `0`, the "
        "token's user is a user of the key's tenant",
    )
    api_rate: int = Field(
        6000, ge=0, le=10_000_000,
        description="Maximum number of files API requests a minute by one key, user or address, in each "
        "process. `0` turns the limit off",
    )  # fmt: skip
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)] = Field(
        (),
        description="Comma list of networks of your proxies and CDN, such as `10.0.0.0/8,fd00::/8`. Only "
        "their `X-Forwarded-For` decides the address of a client",
    )
    client_misses: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Maximum number of images that one client waits for at once, in each process. More "
        "are 429; `0` turns the limit off, as it must be behind a CDN that is not trusted",
    )
    wrong_credentials: int = Field(
        30, ge=0, le=100_000,
        description="Maximum number of wrong keys, tokens and purge secrets a minute from one address, in"
        " each process. More are 429, while valid keys and tokens always pass; `0` turns the "
        "limit off",
    )  # fmt: skip
    write_timeout: Seconds = Field(
        30,
        description="Maximum wait for a client that reads nothing of a response. The connection is then "
        "closed; `0` waits for ever",
    )
    min_rate: int = Field(
        1024, ge=0, le=2**30,
        description="Minimum read rate of a client in bytes a second, averaged over a response after 10 "
        "s. `0` turns the limit off",
    )  # fmt: skip
    client_bytes: ByteSize = Field(
        ByteSize(256 * 1024**2),
        ge=1024**2,
        description="Maximum bytes held for slow clients. Beyond it the slowest connection is closed; an "
        "image that many clients read counts once",
    )
    cache_dir: Path = Field(Path("./data/cache"), description="Directory of the disk cache of results")
    cache_bytes: ByteSize = Field(
        ByteSize(10 * 1024**3),
        description="Maximum bytes of the disk cache, kept across restarts. `0` turns the disk cache off",
    )
    cache_files: int = Field(
        1_000_000,
        ge=1,
        description="Maximum number of results in the disk cache. Each takes 350 bytes of memory",
    )
    cache_free_bytes: ByteSize = Field(
        ByteSize(1024**3),
        description="Bytes of the disk that the disk cache leaves free. It evicts to keep them",
    )
    memory_bytes: ByteSize = Field(
        ByteSize(256 * 1024**2),
        description="Maximum bytes of results in memory, none larger than a quarter of it. Other caches are "
        "sized in proportion",
    )
    workers: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)), ge=1, le=256,
        description="Number of worker processes. The default is one a core",
    )  # fmt: skip
    worker_jobs: int = Field(
        10_000,
        ge=1,
        description="Number of images that one worker makes before it is replaced. `1` gives each image a"
        " process of its own",
    )
    sandbox: Literal["prefer", "require"] = Field(
        "prefer",
        description="Requirement of Landlock and seccomp for workers. `prefer` logs a warning where one "
        "is missing, `require` does not start; the Docker image sets `require`",
    )
    worker_memory: ByteSize = Field(
        ByteSize(768 * 1024**2), ge=128 * 1024**2,
        description="Maximum memory of one worker. An image that needs more is 422",
    )  # fmt: skip
    queue: int = Field(
        64, ge=0, le=100_000, description="Maximum number of waiting jobs. More are answered 503 at once"
    )
    deadline: Seconds = Field(
        15, gt=0, description="Maximum time of one image, waiting included. Beyond it the response is 504"
    )
    max_cost: Seconds = Field(
        5,
        gt=0,
        description="Maximum CPU time of one image. A transform that certainly takes more is 400 at once;"
        " one that turns out to is stopped",
    )
    max_source_bytes: ByteSize = Field(ByteSize(50 * 1024**2), description="Maximum bytes of a source image")
    sources_bytes: ByteSize = Field(
        default_factory=lambda fields: _sources_bytes(fields),
        description="Maximum bytes of all sources and watermarks in use or cached; the default is 256MiB "
        "or twice the largest source. A request that needs more than half of it is 413; one "
        "without room waits, and is 503 after 10 s",
    )
    max_pixels: int = Field(
        50_000_000, ge=1, description="Maximum pixels of a source image, all frames counted"
    )
    max_frames: int = Field(200, ge=1, description="Maximum number of frames of an animation")
    max_side: int = Field(
        8192, ge=1, le=65_500, description="Maximum width and height of a result, in pixels"
    )
    max_filters: int = Field(20, ge=0, le=1000, description="Maximum number of filters in a URL")
    ttl: Seconds = Field(3600, description="Lifetime of an image in browsers (`max-age`)")
    shared_ttl: Seconds = Field(300, description="Lifetime of an image in shared caches (`s-maxage`)")
    stale: Seconds = Field(
        86_400,
        description="Time for which stale images may be served, by this server and by caches "
        "(`stale-while-revalidate`, `stale-if-error`). `0` turns both off",
    )
    damaged: Literal["show", "refuse"] = Field(
        "show",
        description="Response to a cut-off JPEG, PNG, GIF or TIFF. `show` gives the part that decodes, "
        "`refuse` is 422",
    )
    admin_port: int = Field(
        9090,
        ge=0,
        le=65_535,
        description="Port of `/metrics`, `/readyz` and `/healthz` on loopback. `0` turns it off",
    )

    @model_validator(mode="before")
    @classmethod
    def _imply(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fill in what `compat` implies for settings that are not set."""
        return {**_IMPLIED.get(values.get("compat", ""), {}), **values}

    @property
    def limits(self) -> Limits:
        """How much a URL may ask for."""
        return Limits(self.max_side, self.max_filters, self.max_presets)

    @property
    def cache_sizes(self) -> CacheSizes:
        """Sizes of the caches in memory."""
        return cache_sizes(self.memory_bytes)

    @property
    def ceiling(self) -> Ceiling:
        """Limits of one transform job."""
        return Ceiling(
            self.max_pixels,
            self.max_frames,
            self.max_side,
            without=tuple(name for name in READERS if name not in self.readers),
            seconds=self.max_cost,
            memory=self.worker_memory * 3 // 4,
        )

    @property
    def grammar(self) -> Grammar:
        """How URLs are read; raise `ValueError` for a preset that cannot be."""
        named = presets.parse(self.presets, limits=self.limits)
        return Grammar(named, self.only_presets, self.limits, self.ceiling)

    @property
    def signer(self) -> Signer | None:
        """What signs and verifies URLs, if there are secrets."""
        if not self.signing_secrets:
            return None
        return Signer(
            secrets=self.signing_secrets,
            algorithm=self.signing_algorithm,
            truncate=self.signing_truncate,
        )

    @property
    def short_secrets(self) -> tuple[str, ...]:
        """The variables whose secrets are shorter than they should be."""
        held = {"signing_secrets": self.signing_secrets, "purge_secret": (self.purge_secret,)}
        return tuple(
            f"{PREFIX}{name.upper()}"
            for name, secrets in held.items()
            if any(0 < len(each) < _SECRET_LENGTH for each in secrets)
        )

    def key_for(self, purpose: str) -> bytes:
        """A key of its own for one purpose, derived from the deployment's secret."""
        return hmac.digest(self.secret.encode(), purpose.encode(), "sha256")


class SettingsError(Exception):
    """A setting cannot be; the one line says which, what it held and what is expected."""


_SECRET = (  # may hold credentials: never shown
    "secret",
    "jwt_secret",
    "signing_secrets",
    "purge_secret",
    "purge_headers",
    "purge_urls",
    "storage",
    "database",
)


def read() -> Settings:
    """Read the environment; raise `SettingsError`."""
    _require_known(os.environ)
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(_line(error)) from None
    _check_together(settings)
    return settings


def _require_known(environment: Mapping[str, str]) -> None:
    """Raise `SettingsError` for a variable that is not ours: a misspelt limit would not hold."""
    aliases = {str(name) for field in Settings.model_fields.values() for name in _aliases(field)}
    error = unknown_variables.first_error(environment, {*variables(), *aliases})
    if error is not None:
        raise SettingsError(error)


def _aliases(field: FieldInfo) -> Sequence[object]:
    return field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else ()


def _check_together(settings: Settings) -> None:
    """What no value can tell by itself."""
    try:
        named = settings.grammar.presets
    except ValueError as error:
        raise SettingsError(f"IMGPROXY_PRESETS: {error}") from None
    try:
        _ = settings.signer
    except ValueError as error:
        raise SettingsError(f"IMGPROXY_SIGNING_SECRETS: {error}") from None
    if settings.sources_bytes < settings.max_source_bytes:
        raise SettingsError(
            f"IMGPROXY_SOURCES_BYTES={settings.sources_bytes}: at least IMGPROXY_MAX_SOURCE_BYTES, "
            f"{settings.max_source_bytes}, is expected"
        )
    if settings.unsigned == "deny" and not settings.signing_secrets:
        raise SettingsError(
            "IMGPROXY_UNSIGNED=deny: nothing could be served, for IMGPROXY_SIGNING_SECRETS holds no secret"
        )
    if settings.only_presets and not named:
        raise SettingsError(
            "IMGPROXY_ONLY_PRESETS: nothing could be served, for IMGPROXY_PRESETS names no preset"
        )


def seconds(text: str) -> float:
    """Read a duration as settings are written: `90`, `5min`, `1h`; raise `ValueError`."""
    return float(_seconds(text))


def variables() -> dict[str, str]:
    """Every variable and what it means, for `--help` and the documentation."""
    return {
        f"{PREFIX}{name.upper()}": field.description or "" for name, field in Settings.model_fields.items()
    }


def _line(error: ValidationError) -> str:
    first = error.errors()[0]
    place = str(first["loc"][0])
    name = place if place.startswith(PREFIX) else f"{PREFIX}{place.upper()}"
    held = "" if name.removeprefix(PREFIX).lower() in _SECRET else f"={masked_setting(str(first['input']))}"
    expected = first["msg"].removeprefix("Value error, ")
    return f"{name}{held}: {masked_message(expected[0].lower() + expected[1:])}"
