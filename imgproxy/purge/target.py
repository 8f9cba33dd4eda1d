"""URL of a cache's purge, as the setting has it. Pure: settings are read by commands without aiohttp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class PurgeTarget:
    """URL and method of one cache's purge; `{key}` and `{tag}` stand for those of the file."""

    method: Literal["PURGE", "POST"]
    url: str


def parse_purge_target(text: str) -> PurgeTarget:
    """Read `[PURGE|POST ]URL`; raise `ValueError`."""
    method, _, url = text.strip().rpartition(" ")
    if not url.startswith(("http://", "https://")) or method not in ("", "PURGE", "POST"):
        raise ValueError("a URL is expected, such as http://127.0.0.1:8081/{key} or POST https://…/{tag}")
    if "{key}" not in url and "{tag}" not in url and method != "POST":
        raise ValueError("{key} or {tag} is expected in the URL")
    return PurgeTarget("POST" if method == "POST" else "PURGE", url)
