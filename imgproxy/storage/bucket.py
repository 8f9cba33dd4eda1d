"""Which bucket is meant, as a value: settings hold it, and need nothing of AWS for that."""

from __future__ import annotations

from dataclasses import dataclass

from imgproxy.storage.hidden import HIDDEN_PREFIXES


@dataclass(frozen=True, slots=True)
class S3Options:
    """Which bucket, and how patient to be. Credentials come from where AWS's own tools look for them."""

    bucket: str
    prefix: str = ""
    """Put before every key, with a '/' between; never seen outside."""
    region: str | None = None
    endpoint: str | None = None
    """Of a server that is not AWS."""
    hidden: tuple[str, ...] = HIDDEN_PREFIXES
    """Prefixes of keys that hold no object, besides all that begins with a dot."""
    public_endpoint: str | None = None
    """Where browsers find the same server, if elsewhere; presigned URLs begin with it."""
    path_style: bool = False
    """The bucket is in the path and not in the host name."""
    connect_timeout: float = 3.0
    idle_timeout: float = 10.0
    """Seconds without a byte."""
    deadline: float = 60.0
    """Seconds for one call with all its tries, or for one whole download."""
    connections: int = 64
