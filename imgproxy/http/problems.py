"""Errors as HTTP responses: one table of codes and statuses for images, files API, and object gateway.

Bodies follow RFC 9457; clients that know no problem details read `error.code` and `error.message`. `type` is
the URL of the code's page. A test holds the table complete. The status 401 means that authentication is
missing or expired and nothing else: clients react to it by signing in again.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from imgproxy import errors

_log = logging.getLogger(__name__)


class ErrorCode(NamedTuple):
    """Code of an error and its HTTP status."""

    code: str
    status: int


TABLE: dict[type[errors.ImgproxyError], ErrorCode] = {
    errors.BadUrl: ErrorCode("image/invalid-url", 400),
    errors.BadArgument: ErrorCode("image/invalid-argument", 400),
    errors.BadKey: ErrorCode("image/invalid-key", 400),
    errors.NotSigned: ErrorCode("image/not-signed", 403),
    errors.NotFound: ErrorCode("image/not-found", 404),
    errors.SourceTooLarge: ErrorCode("image/source-too-large", 413),
    errors.UnsupportedImage: ErrorCode("image/unsupported", 415),
    errors.BrokenImage: ErrorCode("image/broken", 422),
    errors.TransformFailed: ErrorCode("image/transform-failed", 422),
    errors.ImageTooLarge: ErrorCode("image/too-large", 422),
    errors.InvalidRequest: ErrorCode("common/invalid-request", 400),
    errors.InvalidName: ErrorCode("file/invalid-name", 400),
    errors.NameTooLong: ErrorCode("file/original-name-too-long", 400),
    errors.InvalidPath: ErrorCode("file/invalid-path", 400),
    errors.KeyTooLong: ErrorCode("file/s3-key-too-long", 400),
    errors.TypeTooLong: ErrorCode("file/mime-type-too-long", 400),
    errors.InvalidFormat: ErrorCode("file/invalid-format", 400),
    errors.NegativeSize: ErrorCode("file/size-negative", 400),
    errors.FileTooLarge: ErrorCode("file/file-too-large", 400),
    errors.FileTooSmall: ErrorCode("file/file-too-small", 400),
    errors.InvalidPartNumber: ErrorCode("file/invalid-part-number-range", 400),
    errors.InvalidParts: ErrorCode("file/invalid-parts-array", 400),
    errors.AuthenticationRequired: ErrorCode("common/authentication-required", 401),
    errors.WrongCredential: ErrorCode("common/authentication-required", 401),
    errors.AccessDenied: ErrorCode("file/access-denied", 403),
    errors.FileNotFound: ErrorCode("file/not-found", 404),
    errors.UploadNotFound: ErrorCode("file/upload-not-found", 404),
    errors.KeyExists: ErrorCode("file/s3-key-already-exists", 409),
    errors.Conflict: ErrorCode("file/conflict", 409),
    errors.StillRunning: ErrorCode("common/request-in-progress", 409),
    errors.UploadExpired: ErrorCode("file/upload-expired", 410),
    errors.Changed: ErrorCode("common/precondition-failed", 412),
    errors.BodyTooLarge: ErrorCode("common/body-too-large", 413),
    errors.KeyReused: ErrorCode("common/idempotency-key-reused", 422),
    errors.ListTooBroad: ErrorCode("file/list-too-broad", 422),
    errors.RateLimited: ErrorCode("common/rate-limited", 429),
    errors.BucketNotConfigured: ErrorCode("file/bucket-not-configured", 500),
    errors.UploadInitFailed: ErrorCode("file/upload-init-failed", 500),
    errors.EngineFailed: ErrorCode("common/internal-error", 500),
    errors.StorageFailed: ErrorCode("common/storage-failed", 502),
    errors.Overloaded: ErrorCode("common/overloaded", 503),
    errors.Unavailable: ErrorCode("common/unavailable", 503),
    errors.StorageSlow: ErrorCode("common/storage-slow", 504),
    errors.DeadlinePassed: ErrorCode("common/deadline-passed", 504),
}

BAD_REQUEST = ErrorCode("common/invalid-request", 400)
DENIED = ErrorCode("file/access-denied", 403)
NO_ENDPOINT = ErrorCode("common/not-found", 404)
NO_METHOD = ErrorCode("common/method-not-allowed", 405)
TIMEOUT = ErrorCode("common/request-timeout", 408)
NO_LENGTH = ErrorCode("common/length-required", 411)
TOO_LARGE = ErrorCode("file/file-too-large", 413)
NO_MEDIA = ErrorCode("common/unsupported-media-type", 415)
NO_EXPECTATION = ErrorCode("common/expectation-failed", 417)
DEFECT = ErrorCode("common/internal-error", 500)

_WITHOUT_CLASS = {
    NO_ENDPOINT: "There is no such path.",
    NO_METHOD: "The path has no such method; `Allow` says which it has.",
    TIMEOUT: "The body did not arrive in time.",
    NO_LENGTH: "A body without `Content-Length` is not accepted here.",
    NO_MEDIA: "The body is of another type than JSON.",
    NO_EXPECTATION: "`Expect` may only be `100-continue`.",
}

_BY_STATUS = {
    code.status: code
    for code in (
        NO_ENDPOINT,
        NO_METHOD,
        TIMEOUT,
        NO_LENGTH,
        TABLE[errors.BodyTooLarge],
        NO_MEDIA,
        NO_EXPECTATION,
    )
}

_OF_FILES: dict[type[errors.ImgproxyError], type[errors.FilesError]] = {
    errors.RequestError: errors.InvalidRequest,
    errors.NotSigned: errors.AccessDenied,
    errors.NotFound: errors.FileNotFound,
    errors.SourceTooLarge: errors.FileTooLarge,
    errors.ImageError: errors.InvalidFormat,
}
"""Errors of images and storages as clients of the files API know them."""

PROBLEM_JSON = "application/problem+json"

_RETRY_SECONDS = {429: 1, 502: 5, 503: 1, 504: 5}
_LOGGED_TARGET = 2_000  # characters
_CACHED_SECONDS = 10  # so that a page full of one broken URL does not come back for each


class Refusal(Exception):
    """A request that HTTP itself refuses: its path, method, media type, or body."""

    def __init__(self, code: ErrorCode, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.code = code
        self.headers = headers


def code_of(error: errors.ImgproxyError) -> ErrorCode:
    """Return the code of an error, or of the nearest class above it."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def code_of_status(status: int) -> ErrorCode:
    """Return the code of a status that the HTTP server itself responds with."""
    code = DEFECT.code if status >= 500 else BAD_REQUEST.code
    return _BY_STATUS.get(status, ErrorCode(code, status))


def files_error(error: Exception) -> Exception:
    """Return an error as the files API names it."""
    kind = next((_OF_FILES[kind] for kind in type(error).__mro__ if kind in _OF_FILES), None)
    return error if kind is None else kind(str(error))


def meanings() -> dict[ErrorCode, str]:
    """Return a sentence for every code; classes with one code share the first one's."""
    found: dict[ErrorCode, str] = {}
    for kind, code in TABLE.items():
        found.setdefault(code, meaning(kind))
    return found | _WITHOUT_CLASS


def meaning(kind: type[errors.ImgproxyError]) -> str:
    """Return the first line of an error's docstring."""
    return (kind.__doc__ or "").partition("\n")[0]


def response_to(
    error: Exception, *, request_id: str, target: str, accept: str = PROBLEM_JSON
) -> web.Response:
    """Return the response to an error, and log it with the request's target if the server is at fault."""
    if isinstance(error, Refusal):
        response = problem(error.code, str(error), request_id=request_id, accept=accept)
        response.headers.update(error.headers)
        return response
    if not isinstance(error, errors.ImgproxyError):
        _log.error("%s a defect; %s", request_id, target[:_LOGGED_TARGET], exc_info=error)
        return problem(DEFECT, "the request could not be answered", request_id=request_id, accept=accept)
    code = code_of(error)
    if code.status >= 500:
        cause = error.__cause__ or error
        _log.warning("%s %s: %s; %s", request_id, type(error).__name__, cause, target[:_LOGGED_TARGET])
    retry_after = getattr(error, "retry_after", None)
    return problem(code, str(error), request_id=request_id, accept=accept, retry_after=retry_after)


def problem(
    code: ErrorCode,
    detail: str,
    *,
    request_id: str,
    accept: str = PROBLEM_JSON,
    retry_after: int | None = None,
) -> web.Response:
    """Return a response that no cache stores.

    Its media type is `application/problem+json` only if `accept` names that: there are clients that parse
    nothing but `application/json`.
    """
    headers = {"Cache-Control": "no-store", "X-Request-Id": request_id}
    wait = retry_after or _RETRY_SECONDS.get(code.status)
    if wait:
        headers["Retry-After"] = str(wait)
    if code.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="imgproxy", charset="UTF-8"'
    plain = PROBLEM_JSON not in accept
    return web.Response(
        status=code.status,
        body=json.dumps(body(code, detail, request_id), ensure_ascii=False).encode("utf-8", "replace"),
        content_type="application/json" if plain else PROBLEM_JSON,
        charset="utf-8" if plain else None,
        headers=headers,
    )


def cacheable(response: web.Response) -> web.Response:
    """Let caches store an image's error for seconds if the request is at fault; never one client's alone."""
    own = response.status >= 500 or response.status == HTTPStatus.TOO_MANY_REQUESTS
    if not own:
        response.headers["Cache-Control"] = f"public, max-age={_CACHED_SECONDS}"
    response.headers["X-Accel-Expires"] = "0" if own else str(_CACHED_SECONDS)  # for nginx
    return response


def body(code: ErrorCode, detail: str, request_id: str) -> dict[str, object]:
    """Return the body of a problem."""
    return {
        "success": False,
        "error": {"code": code.code, "message": detail},
        "type": type_url(code.code),
        "title": HTTPStatus(code.status).phrase,
        "status": code.status,
        "code": code.code,
        "detail": detail,
        "message": detail,
        "request_id": request_id,
    }


def type_url(code: str) -> str:
    """Return the URL of a code's page, relative to the server (RFC 9457 §3.1.1)."""
    return f"/v1/docs/errors/{code}"
