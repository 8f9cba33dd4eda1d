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
from imgproxy.clients import Network
from imgproxy.dialects import Grammar, presets
from imgproxy.dialects.signature import Signer
from imgproxy.edge import target
from imgproxy.errors import BadArgument
from imgproxy.files import database_url
from imgproxy.files.database_url import DatabaseUrl
from imgproxy.image.colour import BLACK, WHITE, Colour, parse_colour
from imgproxy.image.formats import READERS, Format, parse_format
from imgproxy.image.plan import Ceiling
from imgproxy.image.transform import Limits
from imgproxy.masking import masked_message, masked_setting
from imgproxy.storage.hidden import HIDDEN_PREFIXES
from imgproxy.storage.storage_url import StorageOptions, parse
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
    return parse(value) if isinstance(value, str) else value


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
        target.parse(each)
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
        default_factory=lambda: parse("file://./data/objects"),
        description="where objects lie: `file://DIR`, "
        "`s3://BUCKET[/PREFIX]?region=&endpoint=&public_endpoint=&path_style=1`, `memory://`",
    )
    database: Annotated[DatabaseUrl, NoDecode, BeforeValidator(_database)] = Field(
        default_factory=lambda: database_url.parse("sqlite:///./data/imgproxy.db"),
        description="where the record of files is: `sqlite:///PATH` or "
        "`postgresql://[USER[:PASSWORD]@]HOST[:PORT]/NAME`",
    )
    unregistered: Literal["deny", "public"] = Field(
        "deny",
        description="objects without a file record: `deny`, or `public`, a plain proxy before a bucket",
    )
    hidden_prefixes: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        HIDDEN_PREFIXES,
        description="comma list of prefixes of keys that are the store's own: never served, listed, written; "
        "nor is any folder or file whose name begins with a dot",
    )
    source_ttl: Seconds = Field(
        60, description="how long the version of an unregistered object is believed before storage is asked"
    )
    unsigned: Literal["allow", "deny"] = Field("allow", description="URLs without a signature")
    signing_secrets: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_old_secrets)] = Field(
        (), repr=False, description="comma list of secrets for signed URLs; the first signs, all verify"
    )
    signing_algorithm: Literal["sha256", "sha1", "sha512"] = Field(
        "sha256",
        validation_alias=AliasChoices("IMGPROXY_SIGNING_ALGORITHM", "IMGPROXY_SIGNING_SECRETS_ALGORITHM"),
        description="HMAC of signatures; thumbor and imagor use `sha1` unless told otherwise",
    )
    signing_truncate: int = Field(
        0,
        ge=0,
        le=88,
        validation_alias=AliasChoices("IMGPROXY_SIGNING_TRUNCATE", "IMGPROXY_SIGNING_SECRETS_TRUNCATE"),
        description="characters a signature is cut to; 0 keeps all, fewer than 22 are not safe",
    )
    purge_secret: Annotated[str, BeforeValidator(_old_secret)] = Field(
        "",
        repr=False,
        description="who has it may PURGE keys, by HTTP or by `imgproxy purge`; empty allows nobody",
    )
    purge_urls: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_purge_urls)] = Field(
        (),
        repr=False,
        description="comma list of caches in front that forget a file when it changes: "
        "`[POST ]https://…` with `{key}` or `{tag}`",
    )
    purge_headers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_headers)] = Field(
        (), repr=False, description="comma list of headers for these, such as `Fastly-Key: …`"
    )
    purge_body: str = Field('{"tags":["{tag}"]}', description="what a POST to these says, as JSON")
    presets: str = Field(
        "",
        description="named transforms, such as `card=fit-in/300x200/filters:quality(80);face=80x80/smart`",
    )
    only_presets: bool = Field(
        False, description="restriction of URLs to `preset:NAME/KEY`; every other URL is 400, `/KEY` included"
    )
    max_presets: int = Field(3, ge=1, le=100, description="maximum number of presets in one URL")
    readers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_readers)] = Field(
        tuple(READERS),
        description="comma list of the readers of images; a type that none of them reads is 415",
    )
    auto_formats: Formats = Field(
        (Format.AVIF, Format.WEBP),
        description="types that may be negotiated when the URL names none, best first",
    )
    quality: Annotated[dict[Format, int], NoDecode, _numbers(1, 100)] = Field(
        {Format.JPEG: 80, Format.WEBP: 80, Format.AVIF: 63}, description="quality by type"
    )
    effort: Annotated[dict[Format, int], NoDecode, _numbers(0, 10)] = Field(
        {Format.WEBP: 4, Format.AVIF: 0}, description="effort of encoders by type"
    )
    shrink: Literal["fast", "exact"] = Field(
        "fast",
        description="shrink-on-load: `fast` leaves the resize a factor of 1.25 (JPEG) or 1.5 (WebP), "
        "`exact` one of 2 at least, for sharper images",
    )
    metadata: Literal["strip", "copyright", "keep"] = Field(
        "strip",
        description="`strip` all but right colours, leave `copyright` and artist, or `keep` everything",
    )
    compat: Literal["", "imagor"] = Field(
        "",
        description="`imagor` for its own choices to the pixel: exact shrink, metadata kept, JPEG and WebP "
        "quality 75, black background, its trim, filters and colours; other settings win where they are set",
    )
    background: Annotated[Colour, NoDecode, BeforeValidator(_opaque)] = Field(
        WHITE,
        description="colour behind transparent parts in a format without alpha, such as JPEG",
    )
    secret: Annotated[str, BeforeValidator(_secret)] = Field(
        default_factory=token_urlsafe,
        repr=False,
        description="what our own upload and download URLs are signed with, the same for every process of a "
        "deployment; drawn at each start if empty",
    )
    public_url: Annotated[str, BeforeValidator(_origin)] = Field(
        "", description="the origin that clients know us by, such as https://img.example; else the request's"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = Field(
        ("*",), description="origins whose pages may upload and call the files API; `*` is any"
    )
    presign_ttl: Seconds = Field(900, ge=1, le=604_800, description="how long an upload URL is good for")
    publish: Literal["register", "auto"] = Field(
        "register",
        description="who makes an upload a file: its client, which must `register` it, or we, `auto`, as "
        "soon as its bytes are there, where its collection is public",
    )
    upload_metadata: Literal["keep", "strip"] = Field(
        "keep",
        description="personal metadata of uploaded images: kept, or, if `strip`, removed when an upload "
        "becomes a file (EXIF but the orientation, GPS, XMP, IPTC, comments)",
    )
    download_ttl: Seconds = Field(
        3600, ge=1, le=604_800, description="lifetime of a download URL; no client gets a longer one"
    )
    downloads: Literal["direct", "proxy"] = Field(
        "direct",
        description="way of downloads from a bucket: `direct`, by a URL of the bucket that holds until its "
        "time ends, or `proxy`, through us, by one that ends with a delete or a change of visibility",
    )
    jwt_secret: Annotated[str, BeforeValidator(_jwt_secret)] = Field(
        "", repr=False, description="what bearer tokens are signed with (HS256); empty believes none of these"
    )
    jwks_url: Annotated[str, BeforeValidator(_url)] = Field(
        "", description="where the public keys are of whoever issues bearer tokens (RS, PS, ES, EdDSA)"
    )
    jwt_issuer: str = Field("", description="`iss` that tokens must have; any if empty")
    jwt_audience: str = Field("", description="`aud` that tokens must have; any if empty")
    jwt_tenant_claim: str = Field(
        "tenant", min_length=1, description="claim that names the tenant, or the way to it: `org.id`"
    )
    jwt_require_tenant: bool = Field(
        True,
        description="tokens that name no tenant: refused beside a publishable key, or, if 0, users of "
        "whichever tenant's key they come with",
    )
    api_rate: int = Field(
        6000, ge=0, le=10_000_000,
        description="requests a minute that one key, user or address may make of the files API; 0: any",
    )  # fmt: skip
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)] = Field(
        (), description="networks of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8,fd00::/8"
    )
    client_misses: int = Field(
        0, ge=0, le=100_000, description="pictures that one client may wait for at once; 0: any number"
    )
    wrong_credentials: int = Field(
        30, ge=0, le=100_000,
        description="maximum of wrong keys, tokens, and purge secrets a minute from one address; 0: any",
    )  # fmt: skip
    write_timeout: Seconds = Field(
        30, description="longest wait for a client that takes nothing of a response; 0: any"
    )
    min_rate: int = Field(
        1024, ge=0, le=2**30,
        description="lowest rate of a client in bytes a second, over the waits of a response; 0: any",
    )  # fmt: skip
    client_bytes: ByteSize = Field(
        ByteSize(256 * 1024**2),
        ge=1024**2,
        description="maximum of bytes held for slow clients, beyond which the slowest is closed",
    )
    cache_dir: Path = Field(Path("./data/cache"), description="where results are kept on disk")
    cache_bytes: ByteSize = Field(
        ByteSize(10 * 1024**3), description="results kept on disk, across restarts; 0 keeps none there"
    )
    memory_bytes: ByteSize = Field(ByteSize(256 * 1024**2), description="results kept in memory")
    workers: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)), ge=1, le=256,
        description="processes that make pictures; the default is one a core",
    )  # fmt: skip
    worker_jobs: int = Field(
        10_000, ge=1, description="Images that one worker makes before it is replaced; 1 shares none"
    )
    sandbox: Literal["prefer", "require"] = Field(
        "prefer",
        description="Landlock and seccomp of workers: `prefer` warns where one is missing, `require` refuses "
        "to serve",
    )
    worker_memory: ByteSize = Field(
        ByteSize(768 * 1024**2), ge=128 * 1024**2,
        description="Memory of one worker at most; an image that needs more is 422",
    )  # fmt: skip
    queue: int = Field(64, ge=0, le=100_000, description="jobs that may wait; more are answered 503 at once")
    deadline: Seconds = Field(15, gt=0, description="how long one picture may take")
    max_cost: Seconds = Field(
        5,
        gt=0,
        description="CPU time that one image may take; a transform that certainly takes more is 400 at once, "
        "one that turns out to is stopped",
    )
    max_source_bytes: ByteSize = Field(ByteSize(50 * 1024**2), description="largest original")
    sources_bytes: ByteSize = Field(
        default_factory=lambda fields: _sources_bytes(fields),
        description="maximum bytes of all sources and watermarks in use or kept; a request that needs "
        "more than half of it is 413, one for which there is no room waits, and after 10 s is 503",
    )
    max_pixels: int = Field(50_000_000, ge=1, description="most pixels of an original, frames counted")
    max_frames: int = Field(200, ge=1, description="most frames of an animation")
    max_side: int = Field(8192, ge=1, le=65_500, description="largest side of an answer, in pixels")
    max_filters: int = Field(20, ge=0, le=1000, description="most filters in a URL")
    ttl: Seconds = Field(3600, description="`max-age`: how long browsers keep an answer")
    shared_ttl: Seconds = Field(300, description="`s-maxage`: how long CDNs do")
    stale: Seconds = Field(86_400, description="`stale-while-revalidate` and `stale-if-error`")
    damaged: Literal["show", "refuse"] = Field(
        "show", description="what a cut-off JPEG, PNG, GIF or TIFF is answered with: what decodes, or 422"
    )
    admin_port: int = Field(
        9090, ge=0, le=65_535, description="`/metrics`, `/readyz`, `/healthz` on loopback; 0 turns it off"
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
    """Every variable and what it means, for `--help` and the README's test."""
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
