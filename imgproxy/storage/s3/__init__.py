"""Objects in a bucket of S3, or of a server that speaks S3.

    s3://BUCKET[/PREFIX]?region=&endpoint=&public_endpoint=&path_style=1

Credentials come from `AWS_*` and the other places where AWS's tools look.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from imgproxy.errors import BadKey
from imgproxy.image.source import parse_key
from imgproxy.storage import HIDDEN_PREFIXES, Storage, StorageOptions
from imgproxy.storage.signed_url import UrlSigner

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_ENDPOINT = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_ENDPOINT_FORM = "http://HOST[:PORT] or https://HOST[:PORT]"
_PARAMS = {
    "region": (re.compile(r"[A-Za-z0-9-]+"), "a name as us-east-1 is"),
    "endpoint": (_ENDPOINT, _ENDPOINT_FORM),
    "public_endpoint": (_ENDPOINT, _ENDPOINT_FORM),
    "path_style": (re.compile("[01]"), "0 or 1"),
}


@dataclass(frozen=True, slots=True)
class S3Options(StorageOptions):
    """A bucket, and the timeouts of its calls."""

    scheme = "s3"
    form = "s3://BUCKET[/PREFIX]"

    bucket: str
    prefix: str = ""
    """Prefix of every key, with a '/' between; invisible outside the storage."""
    region: str | None = None
    endpoint: str | None = None
    """URL of a server that is not AWS."""
    hidden: tuple[str, ...] = HIDDEN_PREFIXES
    public_endpoint: str | None = None
    """The server's URL for browsers, if another; presigned URLs begin with it."""
    path_style: bool = False
    """Whether the bucket is in the path and not in the host name."""
    connect_timeout: float = 3.0
    idle_timeout: float = 10.0
    """Seconds without a byte."""
    deadline: float = 60.0
    """Seconds for one call with all its tries, or for one whole download."""
    connections: int = 64

    @classmethod
    def parse(cls, rest: str) -> S3Options:
        place, _, query = rest.partition("?")
        bucket, _, prefix = place.partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise ValueError("expected the name of a bucket: s3://BUCKET[/PREFIX]; credentials go into AWS_*")
        params = _params(query)
        return cls(
            bucket=bucket,
            prefix=_prefix(prefix),
            region=params.get("region"),
            endpoint=params.get("endpoint"),
            public_endpoint=params.get("public_endpoint"),
            path_style=params.get("path_style") == "1",
        )

    async def connect(
        self,
        url_signer: UrlSigner | None = None,  # noqa: ARG002 - S3 signs its own URLs
        hidden: Sequence[str] = HIDDEN_PREFIXES,
    ) -> Storage:
        # Here, because botocore takes 0.15 s and 8 MB to import, which a folder does not need.
        from imgproxy.storage.s3.storage import S3Storage

        return await S3Storage.connect(replace(self, hidden=tuple(hidden)))


def _params(query: str) -> dict[str, str]:
    """Parse the query; a param without a value is absent."""
    pairs = parse_qsl(query, keep_blank_values=True)
    params = dict(pairs)
    if len(params) != len(pairs):
        raise ValueError("expected each parameter once")
    for name, value in params.items():
        if name not in _PARAMS:
            raise ValueError(f"expected only the parameters {', '.join(_PARAMS)}, not {name!r}")
        pattern, expected = _PARAMS[name]
        if value and not pattern.fullmatch(value):
            raise ValueError(f"expected {name} to be {expected}")
    return {name: value for name, value in params.items() if value}


def _prefix(path: str) -> str:
    prefix = path.strip("/")
    try:
        return parse_key(prefix) if prefix else ""
    except BadKey as error:
        raise ValueError(f"expected a prefix that can begin a key: {error}") from None
