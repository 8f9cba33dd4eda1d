"""The OpenAPI 3.1 document, made of the same table that is served and of the same models that validate."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from imgproxy import errors
from imgproxy.api.endpoints import FORM, JSON, Endpoint, Group
from imgproxy.api.examples import example
from imgproxy.api.prose import HEADERS, INTRODUCTION, PARAMETERS, SECURITY, SECURITY_SCHEMES
from imgproxy.api.responses import Problem
from imgproxy.http import problems
from imgproxy.http.problems import TABLE, ErrorCode

Groups = Sequence[Group[Any]]

_REQUEST_ID = "8f3a1c0de4b79265"
_SCHEMAS = "#/components/schemas/"


class _Plain(GenerateJsonSchema):
    """Schemas that say no more than they must: no title at each field, which would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  pydantic's signature
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """A field that may be left out, without saying that it is null then."""
        found = super().default_schema(schema)
        if found.get("default", ...) is None:
            del found["default"]
        return found


def document(groups: Groups) -> dict[str, Any]:
    """The whole document."""
    endpoints = [each for group in groups for each in group.endpoints]
    schemas = _schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for group in groups:
        for endpoint in group.endpoints:
            operations = paths.setdefault(endpoint.path, {})
            _add(operations, endpoint, group.title, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "imgproxy files API",
            "version": version("imgproxy"),
            "summary": "Uploads, records of files, and who may see what.",
            "description": INTRODUCTION,
        },
        "servers": [{"url": "/", "description": "The host of this document."}],
        "tags": [{"name": group.title, "description": group.text} for group in groups],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": SECURITY_SCHEMES,
            "parameters": PARAMETERS,
            "headers": HEADERS,
        },
    }


def _models(endpoint: Endpoint[Any]) -> tuple[type[BaseModel], ...]:
    answers = endpoint.answers
    if answers is None:
        return ()
    return answers if isinstance(answers, tuple) else (answers,)


def _schemas(endpoints: Iterable[Endpoint[Any]]) -> dict[str, Any]:
    asked: dict[tuple[type[BaseModel], Any], None] = {(Problem, "serialization"): None}
    for endpoint in endpoints:
        if endpoint.takes is not None:
            asked[endpoint.takes, "validation"] = None
        asked.update({(model, "serialization"): None for model in _models(endpoint)})
    _, found = models_json_schema(list(asked), ref_template=f"{_SCHEMAS}{{model}}", schema_generator=_Plain)
    return dict(sorted(found["$defs"].items()))


def _add(operations: dict[str, Any], endpoint: Endpoint[Any], tag: str, schemas: Mapping[str, Any]) -> None:
    """Add an operation, or to the operation that is there already another type of body."""
    made = _operation(endpoint, tag, schemas)
    there = operations.setdefault(endpoint.method.lower(), made)
    if there is not made:
        there["requestBody"]["content"].update(made["requestBody"]["content"])
        for status, response in made["responses"].items():
            there["responses"].setdefault(status, response)


def _operation(endpoint: Endpoint[Any], tag: str, schemas: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [tag],
        "summary": endpoint.summary,
        "security": SECURITY[endpoint.needs],
        "parameters": _parameters(endpoint, schemas),
        "responses": {
            str(endpoint.status): _answer(endpoint, schemas),
            **({"304": _unchanged()} if _can_be_had_already(endpoint) else {}),
            **_refusals(endpoint),
        },
    }
    if endpoint.text:
        operation["description"] = endpoint.text
    if endpoint.media == FORM or (endpoint.takes is not None and not endpoint.asks_in_query):
        operation["requestBody"] = _body(endpoint, schemas)
    return operation


def _parameters(endpoint: Endpoint[Any], schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [_path_parameter(name) for name in re.findall(r"{(\w+)", endpoint.path)]
    if endpoint.takes is not None and endpoint.asks_in_query:
        model = schemas[endpoint.takes.__name__]
        needed = model.get("required", ())
        for name, schema in model["properties"].items():
            found.append(_query_parameter(name, schema, required=name in needed))
    headers = {
        "IdempotencyKey": endpoint.creates,
        "IfMatch": errors.Changed in endpoint.refuses,
        "IfNoneMatch": _can_be_had_already(endpoint),
    }
    return found + [{"$ref": f"#/components/parameters/{name}"} for name, wanted in headers.items() if wanted]


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "string", "format": "uuid"} if name == "id" else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameter(name: str, schema: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    """A parameter; text has no null, so what may be left out is what may be null."""
    plain = {key: value for key, value in schema.items() if key not in ("description", "anyOf", "default")}
    for choice in schema.get("anyOf", ()):
        if choice != {"type": "null"}:
            plain.update(choice)
    if schema.get("default") is not None:
        plain["default"] = schema["default"]
    found = {"name": name, "in": "query", "required": required, "schema": plain}
    if "description" in schema:
        found["description"] = schema["description"]
    return found


def _body(endpoint: Endpoint[Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    model = endpoint.takes
    if model is None:
        return {"required": True, "content": {endpoint.media: {"schema": {"type": "object"}}}}
    schema = schemas[model.__name__]
    content: dict[str, Any] = {"schema": {"$ref": f"{_SCHEMAS}{model.__name__}"}}
    if endpoint.media == JSON:
        content["example"] = example(schema, schemas)
    return {"required": bool(schema.get("required")), "content": {endpoint.media: content}}


def _answer(endpoint: Endpoint[Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    models = _models(endpoint)
    headers = [*_EVERYWHERE, *(["ETag"] if _is_versioned(endpoint) else [])]
    found: dict[str, Any] = {
        "description": _first_line(models[0]) if models else "It is done.",
        "headers": _header_references(headers),
    }
    if models:
        references = [{"$ref": f"{_SCHEMAS}{model.__name__}"} for model in models]
        schema = references[0] if len(references) == 1 else {"anyOf": references}
        shown = example(schemas[models[0].__name__], schemas)
        found["content"] = {JSON: {"schema": schema, "example": shown}}
    return found


def _unchanged() -> dict[str, Any]:
    return {
        "description": "You have it already, as `If-None-Match` says.",
        "headers": _header_references([*_EVERYWHERE, "ETag"]),
    }


def _can_be_had_already(endpoint: Endpoint[Any]) -> bool:
    return _is_versioned(endpoint) and endpoint.method == "GET"


def _is_versioned(endpoint: Endpoint[Any]) -> bool:
    """Whether its answers are one record, which has a version."""
    return any("version" in model.model_fields for model in _models(endpoint))


_EVERYWHERE = ("X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining")


def _header_references(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _refusals(endpoint: Endpoint[Any]) -> dict[str, Any]:
    """What may go wrong, by status."""
    by_status: dict[int, dict[str, str]] = {}
    for found, meaning in refusals_of(endpoint):
        by_status.setdefault(found.status, {})[found.code] = meaning
    return {str(status): _refusal(status, codes) for status, codes in sorted(by_status.items())}


def refusals_of(endpoint: Endpoint[Any]) -> list[tuple[ErrorCode, str]]:
    """What may go wrong at an endpoint, and what that means."""
    kinds: list[type[errors.ImgproxyError]] = [errors.AuthenticationRequired, *endpoint.refuses]
    sends = endpoint.takes is not None and not endpoint.asks_in_query
    kinds += [errors.AccessDenied]  # a token of another tenant than the key's, if nothing else
    if endpoint.takes is not None or endpoint.creates:
        kinds.append(errors.InvalidRequest)
    if "{id}" in endpoint.path:
        kinds.append(errors.FileNotFound)
    if sends:
        kinds.append(errors.BodyTooLarge)
    if endpoint.creates:
        kinds += [errors.StillRunning, errors.KeyReused]
    kinds += [errors.RateLimited, errors.EngineFailed, errors.Unavailable]
    found = {TABLE[kind]: problems.meaning(kind) for kind in kinds}
    if sends and endpoint.media != FORM:
        found[problems.NO_MEDIA] = problems.meanings()[problems.NO_MEDIA]
    return list(found.items())


def _refusal(status: int, codes: Mapping[str, str]) -> dict[str, Any]:
    waits = ["Retry-After"] if status in (429, 502, 503, 504) else []
    content = {
        "schema": {"$ref": f"{_SCHEMAS}Problem"},
        "examples": {
            code: {
                "summary": meaning,
                "value": problems.body(ErrorCode(code, status), meaning, _REQUEST_ID),
            }
            for code, meaning in codes.items()
        },
    }
    return {
        "description": "\n".join(f"- `{code}`: {meaning}" for code, meaning in codes.items()),
        "headers": _header_references([*_EVERYWHERE[:1], *waits]),
        "content": {JSON: content, "application/problem+json": {"schema": content["schema"]}},
    }


def _first_line(kind: type[object]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]
