"""From an error to the API's answer: one table of codes and statuses, proved total by a test.

One body serves clients that read `error.code` and those that read RFC 9457; its media type is
`application/problem+json` only where `Accept` asks for it, because there are clients that parse nothing but
`application/json`. 401 means that authentication is missing or expired and nothing else: clients answer it
by signing in anew.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from imgproxy import errors


class Told(NamedTuple):
    """How an error looks from outside."""

    code: str
    status: int


TABLE: dict[type[errors.ImgproxyError], Told] = {
    errors.InvalidRequest: Told("common/invalid-request", 400),
    errors.InvalidName: Told("file/invalid-name", 400),
    errors.NameTooLong: Told("file/original-name-too-long", 400),
    errors.InvalidPath: Told("file/invalid-path", 400),
    errors.KeyTooLong: Told("file/s3-key-too-long", 400),
    errors.TypeTooLong: Told("file/mime-type-too-long", 400),
    errors.InvalidFormat: Told("file/invalid-format", 400),
    errors.NegativeSize: Told("file/size-negative", 400),
    errors.FileTooLarge: Told("file/file-too-large", 400),
    errors.FileTooSmall: Told("file/file-too-small", 400),
    errors.InvalidPartNumber: Told("file/invalid-part-number-range", 400),
    errors.InvalidParts: Told("file/invalid-parts-array", 400),
    errors.AuthenticationRequired: Told("common/authentication-required", 401),
    errors.WrongCredential: Told("common/authentication-required", 401),
    errors.AccessDenied: Told("file/access-denied", 403),
    errors.FileNotFound: Told("file/not-found", 404),
    errors.UploadNotFound: Told("file/upload-not-found", 404),
    errors.KeyExists: Told("file/s3-key-already-exists", 409),
    errors.Conflict: Told("file/conflict", 409),
    errors.StillRunning: Told("common/request-in-progress", 409),
    errors.UploadExpired: Told("file/upload-expired", 410),
    errors.Changed: Told("common/precondition-failed", 412),
    errors.BodyTooLarge: Told("common/body-too-large", 413),
    errors.KeyReused: Told("common/idempotency-key-reused", 422),
    errors.RateLimited: Told("common/rate-limited", 429),
    errors.BucketNotConfigured: Told("file/bucket-not-configured", 500),
    errors.UploadInitFailed: Told("file/upload-init-failed", 500),
    # what the use cases may let through from the rooms beneath them
    errors.AskerError: Told("common/invalid-request", 400),
    errors.PolicyError: Told("file/not-found", 404),
    errors.SourceTooLarge: Told("file/file-too-large", 400),
    errors.ImageError: Told("file/invalid-format", 400),
    errors.StorageFailed: Told("common/storage-failed", 502),
    errors.StorageSlow: Told("common/storage-slow", 504),
    errors.Overloaded: Told("common/overloaded", 503),
    errors.Unavailable: Told("common/unavailable", 503),
    errors.DeadlinePassed: Told("common/deadline-passed", 504),
    errors.EngineFailed: Told("common/internal-error", 500),
}

NO_ENDPOINT = Told("common/not-found", 404)
NO_METHOD = Told("common/method-not-allowed", 405)
NO_MEDIA = Told("common/unsupported-media-type", 415)
NO_EXPECTATION = Told("common/expectation-failed", 417)
DEFECT = Told("common/internal-error", 500)

_ELSEWHERE = {
    NO_ENDPOINT: "There is no such path.",
    NO_METHOD: "The path has no such method; `Allow` says which it has.",
    NO_MEDIA: "The body is of another type than JSON.",
}

_RETRY_SECONDS = {502: 5, 503: 1, 504: 5}


def told(error: errors.ImgproxyError) -> Told:
    """How an error looks, or the kind that somebody has refined for himself."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def meanings() -> dict[Told, str]:
    """Every way in which an error may look, and what it means; kinds that look alike share a meaning."""
    found: dict[Told, str] = {}
    for kind, shown in TABLE.items():
        found.setdefault(shown, meaning(kind))
    return found | _ELSEWHERE


def meaning(kind: type[errors.ImgproxyError]) -> str:
    """What an error means, in a sentence."""
    return (kind.__doc__ or "").partition("\n")[0]


def answer_to(error: errors.ImgproxyError, *, request_id: str, accept: str = "") -> web.Response:
    """The answer to one of our errors."""
    retry_after = getattr(error, "retry_after", None)
    found = told(error)
    response = problem(found, str(error), request_id=request_id, accept=accept, retry_after=retry_after)
    if found.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="imgproxy", charset="UTF-8"'
    return response


def problem(
    found: Told, detail: str, *, request_id: str, accept: str = "", retry_after: int | None = None
) -> web.Response:
    """An error's answer; it is kept nowhere."""
    kind = "application/problem+json" if "application/problem+json" in accept else "application/json"
    response = web.Response(
        status=found.status,
        body=json.dumps(body(found, detail, request_id), ensure_ascii=False).encode("utf-8", "replace"),
        content_type=kind,
        charset="utf-8",
        headers={"Cache-Control": "no-store"},
    )
    wait = retry_after or _RETRY_SECONDS.get(found.status)
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def body(found: Told, detail: str, request_id: str) -> dict[str, object]:
    """An error's body."""
    return {
        "success": False,
        "error": {"code": found.code, "message": detail},
        "type": f"/v1/docs#{anchor(found.code)}",
        "title": HTTPStatus(found.status).phrase,
        "status": found.status,
        "detail": detail,
        "message": detail,
        "request_id": request_id,
    }


def anchor(code: str) -> str:
    """Where the documentation speaks of a code."""
    return code.replace("/", "-")
