"""From a picture to headers: validators, freshness, negotiation, safety, and where it came from.

All but the body's own headers are known before any fetch, so 304 and HEAD need none (RFC 9110 §13.2.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate, parsedate_to_datetime
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import quote

from imgproxy.edge.render import Prepared
from imgproxy.edge.source_access import SourceGrant
from imgproxy.errors import NotFound
from imgproxy.http.headers import IMAGE_HEADERS, names_etag
from imgproxy.image.formats import TRAITS, Format
from imgproxy.image.options import Options
from imgproxy.image.source import Key
from imgproxy.purge.cdn import tag_of, tenant_tag

HASTY_SECONDS = 10
_NAME = re.compile(r"[^\w .()+-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Freshness:
    """For how many seconds answers are fresh where the URL does not say."""

    ttl: int
    """Browsers: `max-age`. They cannot be purged."""
    shared_ttl: int
    """CDNs: `s-maxage`. They can."""
    stale: int
    """How long an old answer may stand in: `stale-while-revalidate`, `stale-if-error` (RFC 5861)."""
    longest: int | None = None
    """CDNs, whatever the URL says."""

    def of_records(self) -> Freshness:
        """The same of files that may be taken private: no CDN keeps them beyond `shared_ttl`."""
        return replace(self, stale=0, longest=self.shared_ttl)


def headers(prepared: Prepared, freshness: Freshness, *, now: float, cache_status: str) -> dict[str, str]:
    """The headers of 200 and 304 alike, without those that describe a body."""
    options = prepared.request.transform.options
    if any(grant.generation for grant in prepared.grants):
        freshness = freshness.of_records()
    answer = {
        "ETag": etag(prepared),
        "Cache-Control": cache_control(options, freshness, now),
        "X-Accel-Expires": str(nginx_seconds(options, freshness)),
        "Cache-Status": f"imgproxy; {cache_status}",
        "Cache-Tag": ",".join(tags(prepared.grants)),
        **IMAGE_HEADERS,
    }
    if prepared.grants:
        answer["Last-Modified"] = formatdate(_modified(prepared.grants), usegmt=True)
    if prepared.output.negotiated:
        answer["Vary"] = "Accept"
    return answer


def etag(prepared: Prepared) -> str:
    """A strong validator: the result's key says all that its bytes depend on."""
    return f'"{prepared.key}"'


def cache_control(options: Options, freshness: Freshness, now: float) -> str:
    """Freshness by the deployment, or by `max_age`; never beyond `expire`. Raise `NotFound` after it."""
    ttl, shared = freshness.ttl, freshness.shared_ttl
    if options.max_age is not None:
        ttl, shared = options.max_age, _at_most(options.max_age, freshness.longest)
    stale = freshness.stale
    if options.expire is not None:
        left = int(options.expire / 1000 - now)
        if left <= 0:
            raise NotFound("the URL has expired")
        ttl, shared, stale = min(ttl, left), min(shared, left), 0
    if ttl == shared == 0:
        return "private, no-store"
    kept = f", stale-while-revalidate={stale}, stale-if-error={stale}" if stale else ""
    return f"public, max-age={ttl}, s-maxage={shared}{kept}"


def nginx_seconds(options: Options, freshness: Freshness) -> int:
    """How long nginx may keep it: `s-maxage`, and 0 of what expires.

    nginx tells no Age, so browsers would count `max-age` from when they ask, and when it asks again by tag it
    keeps the old `Cache-Control`: both would go past the end. Nobody else reads it, so it is always sent.
    """
    if options.expire is not None:
        return 0
    if options.max_age is None:
        return freshness.shared_ttl
    return _at_most(options.max_age, freshness.longest)


def _at_most(seconds: int, longest: int | None) -> int:
    return seconds if longest is None else min(seconds, longest)


def brief(options: Options, freshness: Freshness, now: float, seconds: int) -> dict[str, str]:
    """The headers of freshness of an answer that nobody may keep for longer than some seconds."""
    short = Freshness(min(freshness.ttl, seconds), min(freshness.shared_ttl, seconds), 0)
    if options.max_age is not None:
        options = replace(options, max_age=min(options.max_age, seconds))
    return {
        "Cache-Control": cache_control(options, short, now),
        "X-Accel-Expires": str(nginx_seconds(options, short)),
    }


def hasty(options: Options, freshness: Freshness, now: float) -> dict[str, str]:
    """The headers of freshness where a newer answer is on its way: caches in front ask again in seconds.

    The seconds are those of a client's error: enough that a busy page does not come back for each picture,
    and what was overwritten is not looked at for longer than it takes to think of reloading.
    """
    return brief(options, freshness, now, HASTY_SECONDS)


def tags(grants: Sequence[SourceGrant]) -> list[str]:
    """What a CDN can purge by: hashes, so that no key or tenant is told."""
    found = dict.fromkeys(tag_of(grant.key) for grant in grants)
    found.update(dict.fromkeys(tenant_tag(grant.tenant) for grant in grants if grant.tenant))
    return list(found)


def _modified(grants: Sequence[SourceGrant]) -> int:
    return int(max(grant.modified for grant in grants))


def not_modified(prepared: Prepared, if_none_match: str | None, if_modified_since: str | None) -> bool:
    """Whether the client has it already (RFC 9110 §13.1.2, §13.1.3): tags decide, dates only without."""
    if if_none_match is not None:
        return names_etag(if_none_match, etag(prepared))
    if if_modified_since is None or not prepared.grants:
        return False
    try:
        since = parsedate_to_datetime(if_modified_since).timestamp()
    except (ValueError, TypeError):
        return False
    return _modified(prepared.grants) <= since


def disposition(options: Options, key: Key | None, mime: str) -> str:
    """`inline`, or `attachment` where the URL asks, under a name that fits the type (RFC 6266)."""
    kind: Literal["inline", "attachment"] = "inline" if options.attachment is None else "attachment"
    extension = next((each.extension for each in TRAITS.values() if each.mime == mime), "json")
    stem = options.attachment or (PurePosixPath(key).stem if key else "") or "image"
    if stem.lower().endswith(f".{extension}"):
        stem = stem[: -len(extension) - 1]
    name = f"{stem}.{extension}"
    plain = _NAME.sub("_", name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
    return f'{kind}; filename="{plain}"{extended}'


def likely_mime(prepared: Prepared, key: Key | None) -> str | None:
    """The type of an answer that is not made: sure when the URL names it, else what the key looks like."""
    if prepared.request.answer == "meta":
        return "application/json"
    asked = prepared.request.transform.options.format
    if asked is not None:
        return TRAITS[asked].mime
    suffix = PurePosixPath(key).suffix.lower().removeprefix(".") if key else "png"
    own = next((name for name, traits in TRAITS.items() if suffix in (name, traits.extension)), None)
    if own in (Format.GIF, Format.WEBP, None) or not prepared.output.candidates:
        sure = own is not None and TRAITS[own].written and not prepared.output.candidates
        return TRAITS[own].mime if own is not None and sure else None
    return TRAITS[prepared.output.candidates[0]].mime
