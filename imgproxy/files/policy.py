"""Access policy: which principal may do what with a file. Pure; nothing else decides visibility.

Another tenant's file does not exist for a principal. A secret key and the owner may do everything; visibility
decides for others, and grants them reading only. A deleted file exists for those who may delete it; a purged
file exists for no principal. The image CDN has no principal, so it serves public files only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from imgproxy.errors import AccessDenied, FileNotFound
from imgproxy.files.model import File, FileState, OwnerType, Share, ShareType, Visibility
from imgproxy.files.principal import Kind, Principal


class Action(StrEnum):
    """Action on a file."""

    LIST = "list"
    GET = "get"
    PATCH = "patch"
    DELETE = "delete"
    """Delete the file, and restore it."""
    DOWNLOAD = "download"
    """Create a URL to the file's bytes."""
    SHARE = "share"
    """Read and change the file's shares."""


class Published(Protocol):
    """Fields of a file that decide whether it is public."""

    @property
    def visibility(self) -> Visibility: ...
    @property
    def state(self) -> FileState: ...


_READING = (Action.LIST, Action.GET, Action.DOWNLOAD)
_OF_DELETED = (Action.GET, Action.DELETE)


def is_public(file: Published) -> bool:
    """Return whether the image CDN may serve a file, and so every client may see it."""
    return file.visibility is Visibility.PUBLIC and file.state is FileState.READY


def allows(
    principal: Principal, action: Action, file: File, shares: Iterable[Share] = (), *, now: int
) -> bool:
    """Return whether a principal may do this with a file at `now`, in milliseconds.

    `shares` are those of the file; they decide for a `shared` file only.
    """
    if principal.tenant != file.tenant or file.state is FileState.PURGED:
        return False
    if file.state is FileState.DELETED:
        return action in _OF_DELETED and has_full_access(principal, file)
    if has_full_access(principal, file):
        return True
    return action in _READING and _sees(principal, file, shares, now)


def require(
    principal: Principal, action: Action, file: File, shares: Iterable[Share] = (), *, now: int
) -> None:
    """Raise `FileNotFound` unless the action is allowed, or `AccessDenied` if the principal may see the file.

    A file that the principal may not see, whether of another tenant, private, or deleted, does not exist.
    """
    if allows(principal, action, file, shares, now=now):
        return
    if file.state is FileState.READY and allows(principal, Action.GET, file, shares, now=now):
        raise AccessDenied(f"you may not {action} this file")
    raise FileNotFound("there is no such file")


def has_full_access(principal: Principal, file: File) -> bool:
    """Return whether a principal may read every field of a file and change it: a secret key, or the owner."""
    return principal.tenant == file.tenant and (principal.is_service or _owns(principal, file))


def depends_on_shares(principal: Principal, file: File) -> bool:
    """Return whether the file's shares decide what a principal may do."""
    return file.visibility is Visibility.SHARED and not has_full_access(principal, file)


def shared_until(principal: Principal, file: File, shares: Iterable[Share] = (), *, now: int) -> int | None:
    """Return the time at which a principal's shares of a file end; None if access does not end by shares."""
    if not depends_on_shares(principal, file):
        return None
    ends = [share.expires_at for share in shares if _names(share, principal, now)]
    return max((end for end in ends if end is not None), default=None) if None not in ends else None


def listed_owner(
    principal: Principal, owner_type: OwnerType | None, owner_id: str | None
) -> OwnerType | None:
    """Return the owner type to filter a list by; raise `AccessDenied` naming the filter.

    Only a secret key and the owner may read a file's owner. A filter by another owner would disclose it by
    the files that are found, or by their number; so users may filter by themselves only.
    """
    if principal.is_service or (owner_type is None and owner_id is None):
        return owner_type
    if owner_id is None:
        raise AccessDenied("ownerType: must come with your own ownerId unless a secret key asks, got none")
    if principal.kind is not Kind.USER or owner_id != principal.user:
        raise AccessDenied(f"ownerId: must be your own id unless a secret key asks, got {owner_id!r}")
    if owner_type not in (None, "user"):
        raise AccessDenied(f"ownerType: must be user unless a secret key asks, got {owner_type}")
    return "user"


def _owns(principal: Principal, file: File) -> bool:
    is_user = principal.kind is Kind.USER and file.owner.type == "user"
    return is_user and principal.user == file.owner.id != ""


def _sees(principal: Principal, file: File, shares: Iterable[Share], now: int) -> bool:
    match file.visibility:
        case Visibility.PUBLIC:
            return True
        case Visibility.PROTECTED:
            return principal.kind is Kind.USER
        case Visibility.SHARED:
            return principal.kind is Kind.USER and any(_names(share, principal, now) for share in shares)
        case Visibility.PRIVATE:
            return False


def _names(share: Share, principal: Principal, now: int) -> bool:
    if share.expires_at is not None and share.expires_at <= now:
        return False
    match share.type:
        case "user":
            return share.id == principal.user != ""
        case "role":
            return share.id == principal.role != ""
        case "group":
            return share.id in principal.groups


@dataclass(frozen=True, slots=True)
class ListScope:
    """Ready files of one visibility; scopes of one principal may overlap."""

    visibility: Visibility
    owner: str | None = None
    """Files of this user only."""
    shared_with: tuple[tuple[ShareType, str], ...] = ()
    """Files with an unexpired share for one of these only."""

    @property
    def is_whole(self) -> bool:
        """Return whether the scope holds all files of its visibility."""
        return self.owner is None and not self.shared_with


def list_scopes(principal: Principal) -> tuple[ListScope, ...]:
    """Return the scopes that together hold what `policy.allows` lets the principal list."""
    match principal.kind:
        case Kind.SERVICE:
            return tuple(ListScope(each) for each in Visibility)
        case Kind.ANONYMOUS:
            return (ListScope(Visibility.PUBLIC),)
        case Kind.USER:
            return (
                ListScope(Visibility.PUBLIC),
                ListScope(Visibility.PROTECTED),
                *_own(principal.user),
                *_shared(principal),
            )


def _own(user: str) -> tuple[ListScope, ...]:
    hidden = (Visibility.PRIVATE, Visibility.SHARED) if user else ()
    return tuple(ListScope(each, owner=user) for each in hidden)


def _shared(principal: Principal) -> tuple[ListScope, ...]:
    named: list[tuple[ShareType, str]] = [("user", principal.user)] if principal.user else []
    named += [("role", principal.role)] if principal.role else []
    named += [("group", name) for name in sorted(principal.groups)]
    return (ListScope(Visibility.SHARED, shared_with=tuple(named)),) if named else ()
