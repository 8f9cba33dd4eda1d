"""What a patch makes of a file (RFC 7396): what is left out stays, null empties, metadata merges. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imgproxy.errors import InvalidRequest
from imgproxy.files.model import File

Patch = Mapping[str, Any]
"""New values by the names of `File`'s fields; of `metadata`, what is to be merged into it."""

FIELDS = frozenset(
    ("original_name", "visibility", "category", "description", "alt", "related_entity_id", "tags", "metadata")
)
"""What can be changed at all."""

MAX_METADATA_BYTES = 16 * 1024
"""As much as can be given at once; many small patches may not come to more."""


def patched(file: File, patch: Patch) -> File:
    """The file as it will be; raise `InvalidRequest` if its metadata would be too much."""
    values = {name: value for name, value in patch.items() if name in FIELDS}
    if "tags" in values:
        values["tags"] = tuple(values["tags"] or ())
    if "metadata" in values:
        values["metadata"] = _metadata(file, values["metadata"])
    after = replace(file, **values)
    flipped = after.visibility is not file.visibility
    return replace(after, generation=file.generation + flipped)


def merged(target: Any, patch: Any) -> Any:
    """MergePatch of RFC 7396 §2."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _metadata(file: File, patch: Mapping[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = merged(file.metadata, patch) if patch is not None else {}
    if len(json.dumps(found, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"metadata: at most {MAX_METADATA_BYTES} bytes of JSON are expected in all")
    return found
