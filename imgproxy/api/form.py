"""`multipart/form-data` with one file in it, read once from front to back: the file is never in memory.

Fields may stand before and after the file (curl keeps the order of its arguments). What a file may be
depends on its collection, and so does when to stop reading; so `category` must stand before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, TypeVar

from aiohttp import BodyPartReader, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel

from imgproxy.api.field_types import FileName, MimeType
from imgproxy.api.file_models import with_inputs
from imgproxy.api.fingerprint import Fingerprint
from imgproxy.api.form_reader import FormReader
from imgproxy.api.put_object import MAX_BYTES
from imgproxy.api.validation import refusal
from imgproxy.errors import BodyTooLarge, InvalidRequest
from imgproxy.files.fields import FileValues, given_values
from imgproxy.files.uploads import UploadRequest

_FIELD_BYTES = 64 * 1024  # of all fields but the file
_UNKNOWN = "application/octet-stream"
_JSON_FIELDS = ("metadata", "tags")

Model = TypeVar("Model", bound=BaseModel)
_Bytes = Annotated[str, WithJsonSchema({"type": "string", "format": "binary"})]


class FormBody(BaseModel):
    """A file and what is to be known of it."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        json_schema_extra={"required": ["file"]},
    )

    file: _Bytes = Field("", description="The file, with its name and type.")


FileForm = with_inputs(
    "FileForm",
    FormBody,
    optional=True,
    descriptions={
        "original_name": "The file's own name by default.",
        "visibility": "The collection's own by default.",
        "category": "A collection's name, or any label; before `file`.",
        "tags": 'As JSON: `["cat"]`.',
        "metadata": "As JSON.",
        "alt": None,
    },
)


class _File(BaseModel):
    """Headers of the file's part."""

    filename: FileName
    content_type: MimeType = Field(alias="contentType")


class _Fields:
    """The fields that are no files."""

    def __init__(self, fingerprint: Fingerprint | None) -> None:
        self.given: dict[str, Any] = {}
        self.fingerprint = fingerprint
        self._size = 0

    async def keep(self, reader: FormReader, part: BodyPartReader) -> None:
        """Read a field; of two of one name the last counts. Raise `BodyTooLarge` or `InvalidRequest`."""
        read = b""
        async for chunk in _body(reader, part, self.fingerprint):
            read += chunk
            if self._size + len(read) > _FIELD_BYTES:
                raise BodyTooLarge(f"fields of at most {_FIELD_BYTES} bytes are expected beside the file")
        self._size += len(read)
        name = part.name or ""
        self.given[name] = _value(name, read)


class Form:
    """One form under way: `chunks` once, then `details`."""

    def __init__(self, reader: FormReader, fields: _Fields, part: BodyPartReader) -> None:
        self._reader = reader
        self._fields = fields
        self._part = part
        said: Any = _checked(FileForm, fields.given)
        kind = part.headers.get("Content-Type") or _UNKNOWN
        own = _checked(_File, {"filename": said.original_name or part.filename, "contentType": kind})
        self.request = UploadRequest(own.filename, own.content_type, None, said.visibility, said.category)

    @classmethod
    async def open(cls, http: web.Request, fingerprint: Fingerprint | None = None) -> Form:
        """Read up to the file; raise `InvalidRequest` if there is none. Add what is read to a fingerprint."""
        reader, fields = FormReader(http), _Fields(fingerprint)
        while (part := await reader.next()) is not None:
            if part.name == "file":
                return cls(reader, fields, part)
            await fields.keep(reader, part)
        raise InvalidRequest("a field `file` that holds a file is expected")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file's bytes as they arrive; at the end, read the fields that follow."""
        async for chunk in _body(self._reader, self._part, self._fields.fingerprint):
            if chunk:
                yield chunk
        while (part := await self._reader.next()) is not None:
            if part.name in ("file", "category"):
                raise InvalidRequest(f"{part.name}: one is expected, and category before file")
            await self._fields.keep(self._reader, part)

    def details(self) -> FileValues:
        """Return the values that the fields give, once the whole form is read."""
        given = given_values(_checked(FileForm, self._fields.given))
        return {"original_name": self.request.name, **given}


async def read(http: web.Request, fingerprint: Fingerprint) -> None:
    """Read a form to its end for its fingerprint alone; raise `BodyTooLarge` or `InvalidRequest`."""
    size = 0
    async for chunk in (await Form.open(http, fingerprint)).chunks():
        size += len(chunk)
        if size > MAX_BYTES:
            raise BodyTooLarge(f"file: must have at most {MAX_BYTES} bytes")


async def _body(
    reader: FormReader, part: BodyPartReader, fingerprint: Fingerprint | None
) -> AsyncIterator[bytes]:
    """Yield what a part holds, and add the part to a fingerprint.

    The boundary is left out, as clients draw another one for each try. The digest takes 0.1 ms a chunk.
    """
    head = json.dumps([part.name, part.filename, part.headers.get("Content-Type")]).encode()
    digest = hashlib.sha256(b"%d %b" % (len(head), head))
    while not part.at_eof():
        chunk = await reader.chunk(part)
        if fingerprint is not None:
            digest.update(chunk)
        yield chunk
    if fingerprint is not None:
        fingerprint.add(digest.digest())


def _value(name: str, raw: bytes) -> Any:
    """A field's text, or what its JSON says."""
    try:
        text = raw.decode()
        return json.loads(text) if name in _JSON_FIELDS else text
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{name}: {'JSON' if name in _JSON_FIELDS else 'UTF-8'} is expected") from None


def _checked(model: type[Model], given: Mapping[str, Any]) -> Model:
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise refusal(error) from None
