"""What the OpenAPI document says whatever the endpoints are."""

from __future__ import annotations

from imgproxy.api import idempotency
from imgproxy.files.principal import Kind

INTRODUCTION = """\
Upload, describe and share files; public pictures are shown at any size by the image CDN on the same host.

1. `POST /v1/files/presigned-url` says where to send the bytes.
2. `PUT` them there, straight to storage.
3. `POST /v1/files` registers what was uploaded; from then on it is a file, and nobody can write to it.

Bodies are JSON, answers are plain objects. Times are RFC 3339 in UTC, sizes are bytes."""

SECURITY_SCHEMES = {
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "`pk_…` names the tenant and may stand in a page; "
        "`sk_…` acts for the tenant and stays on your server.",
    },
    "Bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A JSON Web Token that names the user: `sub`, `exp`, the tenant (beside a publishable "
        "key unless the deployment says otherwise), and `role`, `groups` if you like. HS256, or signed by a "
        "key of the deployment's JWKS.",
    },
}
SECURITY: dict[Kind, list[dict[str, list[str]]]] = {
    Kind.ANONYMOUS: [{"ApiKey": []}, {"ApiKey": [], "Bearer": []}, {"Bearer": []}],
    Kind.USER: [{"ApiKey": [], "Bearer": []}, {"Bearer": []}, {"ApiKey": []}],
    Kind.SERVICE: [{"ApiKey": []}],
}
HEADERS = {
    "X-Request-Id": {"schema": {"type": "string"}, "description": "Names this request in our log too."},
    "X-RateLimit-Limit": {"schema": {"type": "integer"}, "description": "Requests a minute."},
    "X-RateLimit-Remaining": {"schema": {"type": "integer"}, "description": "How many are left."},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."},
    "ETag": {"schema": {"type": "string"}, "description": "The record's version, for `If-Match`."},
}
PARAMETERS = {
    "IdempotencyKey": {
        "name": idempotency.HEADER,
        "in": "header",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": "Any text of yours, the same for each try of one request: it is done once, and "
        "answered alike for 24 hours.",
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The `ETag` that you have read: 412 if the record has changed since.",
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The `ETag` that you have: 304 if the record has not changed since.",
    },
}
