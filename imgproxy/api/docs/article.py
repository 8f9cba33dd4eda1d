"""One operation on the page: what it takes beside how it is called."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from html import escape
from typing import Any

from imgproxy.api.docs.markup import (
    Document,
    coloured,
    figure,
    inline,
    kind,
    method_badge,
    path_marked,
    resolved,
)
from imgproxy.http.problems import type_url

_NEEDS = {
    '[{"ApiKey": []}]': "A secret key",
    '[{"ApiKey": [], "Bearer": []}, {"Bearer": []}, {"ApiKey": []}]': "A user’s token, or a secret key",
}
_ANYBODY = "Any key; a user’s token shows more"


def article(
    document: Document, path: str, method: str, operation: Mapping[str, Any], *, usual: Collection[str]
) -> str:
    """The operation; `usual` are codes that any has, and that it does not repeat."""
    name = operation["operationId"]
    told = f"<p>{inline(operation['description'])}</p>" if "description" in operation else ""
    return f"""<article id="{name}">
<div>
<header><h3><a href="#{name}">{escape(operation["summary"])}</a></h3></header>
<p class="route">{method_badge(method)}<code>{path_marked(path)}</code></p>
{told}<p class="needs">{_NEEDS.get(json.dumps(operation["security"]), _ANYBODY)}</p>
{_parameters(document, operation)}
{_fields(document, operation)}
<h4>Errors</h4>
{_codes(operation, usual)}
</div>
<div class="samples">{_request(path, method, operation)}{_answer(operation)}</div>
</article>
"""


def _parameters(document: Document, operation: Mapping[str, Any]) -> str:
    rows = ""
    for given in operation["parameters"]:
        parameter = resolved(document, given)
        about = f"{parameter['in']}, {kind(document, parameter['schema'])}"
        rows += _row(parameter["name"], about, parameter.get("description", ""), parameter.get("required"))
    return f"<h4>Parameters</h4><dl>{rows}</dl>" if rows else ""


def _fields(document: Document, operation: Mapping[str, Any]) -> str:
    found = ""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = resolved(document, content["schema"])
        rows = "".join(
            _row(
                name, kind(document, field), field.get("description", ""), name in schema.get("required", ())
            )
            for name, field in schema.get("properties", {}).items()
        )
        found += f"<h4>Body, <code>{media}</code></h4><dl>{rows}</dl>" if rows else ""
    return found


def _row(name: str, kind: str, told: str, required: object) -> str:
    must = '<span class="must">required</span>' if required else ""
    meaning = f"<dd>{inline(told)}</dd>" if told else ""
    return f"<dt><code>{escape(name)}</code><span>{escape(kind)}</span>{must}</dt>{meaning}"


def _codes(operation: Mapping[str, Any], usual: Collection[str]) -> str:
    links = "".join(
        f'<li><a href="{type_url(code)}">{status} {escape(code)}</a></li>'
        for status, response in operation["responses"].items()
        for code in examples(response)
        if code not in usual
    )
    return f'<ul class="codes">{links}<li><a href="#errors">those of every call</a></li></ul>'


def examples(response: Mapping[str, Any]) -> Mapping[str, Any]:
    content = response.get("content", {}).get("application/json", {})
    found: Mapping[str, Any] = content.get("examples", {})
    return found


def _request(path: str, method: str, operation: Mapping[str, Any]) -> str:
    """A call with curl, to be copied into a shell."""
    place = path.replace("{id}", "$ID")
    lines = [f'curl -X {method.upper()} "$HOST{place}"', '-H "X-API-Key: $KEY"']
    if operation["security"] != [{"ApiKey": []}]:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    content = operation.get("requestBody", {}).get("content", {})
    shown = content.get("application/json", {}).get("example")
    if shown:
        body = json.dumps(shown, indent=2, ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d '{body}'"]
    elif "multipart/form-data" in content:
        lines.append("-F file=@cat.jpg")
    return figure("curl", escape(" \\\n  ".join(lines), quote=False))


def _answer(operation: Mapping[str, Any]) -> str:
    status, response = next(iter(operation["responses"].items()))
    shown = response.get("content", {}).get("application/json", {}).get("example")
    if shown is None:
        return ""
    return figure(f"Answer {status}", coloured(json.dumps(shown, indent=2, ensure_ascii=False)))
