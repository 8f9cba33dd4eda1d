"""From an error to an answer: one table of statuses, proved total by a test, and `application/problem+json`.

Bodies follow RFC 9457. A client's errors may be kept for some seconds, so a page full of a broken URL does
not come back for each; ours are kept nowhere (RFC 9111), nor what is one client's alone.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from aiohttp import web

from imgproxy import errors

STATUSES: dict[type[errors.ImgproxyError], int] = {
    errors.BadUrl: 400,
    errors.BadArgument: 400,
    errors.BadKey: 400,
    errors.NotSigned: 403,
    errors.NotFound: 404,
    errors.RateLimited: 429,
    errors.SourceTooLarge: 413,
    errors.UnsupportedImage: 415,
    errors.BrokenImage: 422,
    errors.TransformFailed: 422,
    errors.ImageTooLarge: 422,
    errors.FilesError: 500,  # a defect: nobody asks the edge for what they refuse; see `api/problems.py`
    errors.EngineFailed: 500,
    errors.StorageFailed: 502,
    errors.Overloaded: 503,
    errors.Unavailable: 503,
    errors.StorageSlow: 504,
    errors.DeadlinePassed: 504,
}

_KEPT_SECONDS = 10
_RETRY_SECONDS = {429: 1, 502: 5, 503: 1, 504: 5}

_PASSING = (errors.Overloaded, errors.RateLimited, errors.Unavailable)

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    "Timing-Allow-Origin": "*",
    "Server": "imgproxy",
}
"""What every answer carries: nothing of it runs, any page may show and measure it, no version is told."""


def status_of(error: errors.ImgproxyError) -> int:
    """The HTTP status of an error, or of the kind that a storage has refined for itself."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def problem(
    status: int, detail: str, *, request_id: str, vary: bool = False, retry_after: int | None = None
) -> web.Response:
    """An error's answer."""
    phrase = HTTPStatus(status).phrase
    body = {
        "type": "about:blank",
        "title": phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }
    headers = {**SAFE_HEADERS, "X-Request-Id": request_id}
    kept = _KEPT_SECONDS if status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS else 0
    headers["Cache-Control"] = f"public, max-age={kept}" if kept else "no-store"
    headers["X-Accel-Expires"] = str(kept)  # the same for nginx, which had better not read the line above
    if vary:
        headers["Vary"] = "Accept"
    wait = retry_after or _RETRY_SECONDS.get(status)
    if wait:
        headers["Retry-After"] = str(wait)
    return web.Response(
        status=status,
        body=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
        content_type="application/problem+json",
        headers=headers,
    )


def answer_to(error: errors.ImgproxyError, *, request_id: str, vary: bool = False) -> web.Response:
    """The answer to one of our errors."""
    retry_after = error.retry_after if isinstance(error, _PASSING) else None
    return problem(status_of(error), str(error), request_id=request_id, vary=vary, retry_after=retry_after)
