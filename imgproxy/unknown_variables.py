"""Environment variables that look like settings and are none."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches

PREFIX = "IMGPROXY_"

_OF_KUBERNETES = re.compile(r"IMGPROXY_(SERVICE_.+|PORT(_.+)?)")
"""Written into every container where a service is called `imgproxy`."""

_OF_THE_OTHER = frozenset(
    f"{PREFIX}{name}"
    for name in (
        *("KEY", "SALT", "BIND", "NETWORK", "TIMEOUT", "CONCURRENCY", "MAX_CLIENTS", "KEEP_ALIVE_TIMEOUT"),
        *("SIGNATURE_SIZE", "TRUSTED_SIGNATURES", "ALLOWED_SOURCES", "BASE_URL", "LOCAL_FILESYSTEM_ROOT"),
        *("USE_S3", "S3_REGION", "S3_ENDPOINT", "USE_GCS", "GCS_KEY", "USE_ABS", "FORMAT_QUALITY"),
        *("MAX_SRC_RESOLUTION", "MAX_SRC_FILE_SIZE", "MAX_ANIMATION_FRAMES", "DOWNLOAD_TIMEOUT"),
        *("AUTO_WEBP", "AUTO_AVIF", "ENFORCE_WEBP", "ENFORCE_AVIF", "ENABLE_WEBP_DETECTION", "USE_ETAG"),
        *("AUTO_ROTATE", "STRIP_METADATA", "WATERMARK_DATA", "WATERMARK_PATH", "WATERMARK_URL"),
        *("PROMETHEUS_BIND", "LOG_FORMAT", "LOG_LEVEL", "ALLOW_ORIGIN", "USER_AGENT", "SO_REUSEPORT"),
    )
)
"""Variables of the server of imgproxy.net that its users bring along."""


def first_error(environment: Iterable[str], known: Collection[str]) -> str | None:
    """Return a line on the first variable that begins with `PREFIX` and is not known; None if all are."""
    for name in sorted(environment):
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known and not _OF_KUBERNETES.fullmatch(upper):
            return f"{name}: {_reason(upper, known)}"
    return None


def _reason(name: str, known: Collection[str]) -> str:
    if name in _OF_THE_OTHER:
        return (
            "is a setting of imgproxy.net's server, which this is not; unset it, and see the settings in "
            "docs/settings.md"
        )
    near = get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], 1)
    return "is no setting" + (f"; the nearest is {PREFIX}{near[0]}" if near else "")
