"""What an endpoint is: a row of a table, from which it is served and from which its documentation is made.

A handler is handed the part of the program that it needs and the call, asks one use case, and answers. It is
called with everything checked: who asks, how often, and what was sent.

    PINGS = Group("Pings", "For those who want to know.", (
        Endpoint("POST", "/v1/pings", "ping", "Ping", handle=_ping, takes=Ping, answers=Pong, status=201),
    ))

    async def _ping(pings: Pings, call: Call[Ping]) -> Answer:
        return Answer(await pings.ping(call.principal, call.given.text))
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel

from imgproxy.api.fingerprint import Fingerprint
from imgproxy.errors import Changed, FileNotFound, ImgproxyError
from imgproxy.files.model import File, FileId
from imgproxy.files.principal import Kind, Principal

Part = TypeVar("Part")
Given = TypeVar("Given")

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
MAX_BODY_BYTES = 64 * 1024
JSON = "application/json"
FORM = "multipart/form-data"

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Call(Generic[Given]):
    """One request, after everything about it was checked."""

    principal: Principal
    given: Given
    """The body, or the query, as the endpoint's model; None if it takes none."""
    path: Mapping[str, str]
    base: str
    """The public origin, such as https://img.example: what URLs in the answer begin with."""
    http: web.Request
    """For bodies that are streamed, and nothing else."""
    fingerprint: Fingerprint | None = None
    """Told of a streamed body while it is read, if the request has an Idempotency-Key."""

    @property
    def file_id(self) -> FileId:
        """The id in the path; raise `FileNotFound` for what cannot be one."""
        if not _ID.fullmatch(self.path["id"].lower()):
            raise FileNotFound("there is no such file")
        return FileId(self.path["id"].lower())

    def require_match(self, file: File) -> None:
        """Raise `Changed` unless the file is in the version that `If-Match` names, if it names any."""
        wanted = self.http.headers.get("If-Match")
        if wanted is None:
            return
        names = [name.strip() for name in wanted.split(",")]
        if "*" not in names and version_tag(file) not in names:
            raise Changed("the file has changed since: read it again, then change that")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; the endpoint's own status unless told."""

    body: BaseModel | None
    status: int = 0
    etag: str | None = None
    """GET answers 304 to who has it; PATCH and DELETE hold `If-Match` against it."""
    headers: Mapping[str, str] | None = None


Handle = Callable[[Part, Call[Given]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[Part]):
    """One method of one path."""

    method: Method
    path: str
    name: str
    """Its name in generated clients, such as `createFile`."""
    summary: str
    handle: Handle[Part, Any]
    needs: Kind = Kind.USER
    """Who may call it: whoever holds any key, a user (or the tenant itself), or the tenant itself."""
    takes: type[BaseModel] | None = None
    """Read from the body, or from the query of GET and DELETE."""
    answers: type[BaseModel] | tuple[type[BaseModel], ...] | None = None
    """One of several where it depends on who asks."""
    status: int = 200
    refuses: tuple[type[ImgproxyError], ...] = ()
    """What goes wrong here beside what may go wrong everywhere."""
    creates: bool = False
    """Whether it makes something, so that `Idempotency-Key` is of use."""
    signs: bool = False
    """Whether its answer holds a signed URL, which is kept nowhere in clear."""
    body_bytes: int = MAX_BODY_BYTES
    """The largest body of JSON."""
    media: str = JSON
    """`FORM` is handed on unread, as a stream; `takes` only says what may be in it."""
    text: str = ""

    @property
    def asks_in_query(self) -> bool:
        return self.method in ("GET", "DELETE")


@dataclass(frozen=True, slots=True)
class Bound:
    """An endpoint and what it calls."""

    endpoint: Endpoint[Any]
    call: Callable[[Call[Any]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Group(Generic[Part]):
    """Endpoints that need the same part of the program."""

    title: str
    text: str
    endpoints: tuple[Endpoint[Part], ...]

    def bind(self, part: Part) -> list[Bound]:
        """The endpoints, ready to be called."""
        return [Bound(each, partial(each.handle, part)) for each in self.endpoints]


def version_tag(file: File) -> str:
    """The entity tag of a file's record, which counts its changes."""
    return f'"{file.row_version}"'
