"""What the files side must do, in plain Python: what was uploaded, what became of it, and who may see it.

Nothing of the product decides anything here; its values are only borrowed to name things.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from imgproxy.errors import (
    AccessDenied,
    FileNotFound,
    FileTooLarge,
    FileTooSmall,
    ImgproxyError,
    InvalidFormat,
)
from imgproxy.files.model import Share, TenantId, Upload
from imgproxy.files.principal import Kind, Principal

ACME, OTHER = TenantId("acme"), TenantId("acme2")  # one's name begins as the other's
NOBODY = Principal(ACME, Kind.ANONYMOUS)
BOB = Principal(ACME, Kind.USER, user="bob")
CAT = Principal(ACME, Kind.USER, user="cat", groups=frozenset({"friends"}))
ANN = Principal(ACME, Kind.USER, user="ann")
ELSEWHERE = Principal(OTHER, Kind.USER, user="ann", groups=frozenset({"friends"}))
ITSELF = Principal(ACME, Kind.SERVICE)
EVERYBODY = (NOBODY, BOB, CAT, ANN, ELSEWHERE, ITSELF)

Errors = tuple[type[ImgproxyError], ...]

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
PART = 5 * 1024 * 1024
"""Every part but the last has as many bytes."""
RETENTION = {"temp": DAY}
GRACE = DAY
"""For how long after its last URL an upload can be registered."""


@dataclass(frozen=True)
class Body:
    """Bytes, and what they are."""

    type: str
    bytes: bytes
    sides: tuple[int, int] | None = None
    broken: bool = False


def body(kind: str, number: int) -> Body:
    """Bytes of a kind, different for each number."""
    mark = b"#%d" % number
    match kind:
        case "jpeg":
            return Body("image/jpeg", b"\xff\xd8\xff\xe0 %dx20 %s" % (30 + number, mark), (30 + number, 20))
        case "png":
            return Body("image/png", b"\x89PNG\r\n\x1a\n %dx9 %s" % (9 + number, mark), (9 + number, 9))
        case "broken":
            return Body("image/jpeg", b"\xff\xd8\xff\xe0 of nothing %s" % mark, broken=True)
        case "text":
            return Body("text/plain", b"Once upon a time %s" % mark)
        case _:
            return Body("text/plain", b"")


KINDS = ("jpeg", "jpeg", "png", "text", "broken", "empty")
TYPES = ("image/jpeg", "image/png", "text/plain")
PICTURES = ("images", "avatars")


@dataclass(eq=False)
class Sent:
    """An upload, and what is at its place."""

    upload: Upload
    principal: Principal
    url: str = ""
    url_ends: int = 0
    staged: Body | None = None
    parts: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    """ETag and bytes by number."""
    part_urls: dict[int, tuple[str, int]] = field(default_factory=dict)
    joined: bool = False
    """Whether its parts were made one object."""
    state: str = "open"
    """`open`, `published` (a file that nobody has registered), `file`, `over`."""
    file: Known | None = None
    held_until: int = 0
    """When somebody else may complete it who began and died."""

    def is_to_be_published(self, now: int) -> bool:
        """Whether it is a file as soon as somebody looks, where nobody needs to register."""
        found, said = self.staged, self.upload
        if self.state != "open" or self.held_until > now or found is None:
            return False
        public = said.visibility == "public" and said.collection in PICTURES
        fits = said.declared_size in (None, len(found.bytes))
        return public and fits and not errors_of(found, (said.declared_type or "",))

    def errors_of_register(self, principal: Principal, *, mime_type: str, size: int) -> Errors:
        """What must be answered to who registers an open upload so: one of these, or success if none."""
        found = self.staged
        if found is None:
            return (FileNotFound,)
        sizes = [each for each in (self.upload.declared_size, size) if each is not None]
        return (
            *lies_of(found, mime_type, *sizes),
            *errors_of(found, (self.upload.declared_type or "",)),
        )


def lies_of(found: Body, mime_type: str, *sizes: int) -> Errors:
    """What is wrong with what is said of bytes."""
    wrong: list[type[ImgproxyError]] = []
    for each in sizes:
        wrong += [FileTooLarge] if len(found.bytes) > each else []
        wrong += [FileTooSmall] if len(found.bytes) < each else []
    return (*wrong, *errors_of(found, (mime_type,)))


def errors_of(found: Body, said: tuple[str, ...]) -> Errors:
    """What is wrong with bytes that are said to be of these types."""
    if not found.bytes:
        return FileTooSmall, InvalidFormat
    lied = any(each != found.type for each in said)
    return (InvalidFormat,) if lied or found.broken else ()


@dataclass(eq=False)
class Known:
    """A file."""

    id: Any
    key: str
    tenant: TenantId
    owner: str
    """The user's name; empty for the tenant's own."""
    collection: str
    body: Body
    visibility: str
    state: str = "ready"
    purge_after: int = 0
    shares: tuple[Share, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> bool:
        """Whether the edge shows it."""
        return self.state == "ready" and self.visibility == "public"

    def masters(self, principal: Principal) -> bool:
        """Whether somebody may do everything with it."""
        if principal.tenant != self.tenant:
            return False
        return principal.kind is Kind.SERVICE or principal.user == self.owner != ""

    def is_seen_by(self, principal: Principal, now: int) -> bool:
        if principal.tenant != self.tenant or self.state != "ready":
            return False
        if self.masters(principal) or self.visibility == "public":
            return True
        if principal.kind is Kind.ANONYMOUS or self.visibility == "private":
            return False
        return self.visibility == "protected" or any(_meant(each, principal, now) for each in self.shares)

    def errors_of_change(self, principal: Principal, now: int, *, deleted: bool = False) -> Errors:
        """What must be answered to who changes it; `deleted` says that a deleted one will do."""
        there = self.state == "ready" or (deleted and self.state == "deleted")
        if there and self.masters(principal):
            return ()
        return (AccessDenied,) if self.is_seen_by(principal, now) else (FileNotFound,)

    def delete(self, now: int) -> None:
        if self.state == "ready":
            self.state = "deleted"
            self.purge_after = now + RETENTION.get(self.collection, 30 * DAY)

    def purge(self) -> None:
        """Nothing is left but a name that is never used again."""
        self.state, self.shares, self.tags, self.metadata = "purged", (), (), {}


def _meant(share: Share, principal: Principal, now: int) -> bool:
    if share.expires_at is not None and share.expires_at <= now:
        return False
    return share.id == principal.user if share.type == "user" else share.id in principal.groups
