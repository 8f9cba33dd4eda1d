"""A cache in front, as the setting names it; `caches` is who tells it what to forget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Target:
    """One cache: where it is told, and how. `{key}` and `{tag}` stand for the file's."""

    method: Literal["PURGE", "POST"]
    url: str


def parse(text: str) -> Target:
    """Read `[PURGE|POST ]URL`; raise `ValueError`."""
    method, _, url = text.strip().rpartition(" ")
    if not url.startswith(("http://", "https://")) or method not in ("", "PURGE", "POST"):
        raise ValueError("a URL is expected, such as http://127.0.0.1:8081/{key} or POST https://…/{tag}")
    if "{key}" not in url and "{tag}" not in url and method != "POST":
        raise ValueError("{key} or {tag} is expected in the URL")
    return Target("POST" if method == "POST" else "PURGE", url)
