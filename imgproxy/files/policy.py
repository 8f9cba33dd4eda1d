"""Who may do what with a file: one pure function, proved by a table of every case.

Isolation goes first: to another tenant a file is not there. A secret key and the owner may do everything;
for others visibility decides, and nothing but reading is ever given away. The image CDN knows nobody, so
what it may show is what anybody may see. A deleted file is seen, and restored, by those only who could have
deleted it; a purged one is gone for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from imgproxy.errors import AccessDenied, FileNotFound
from imgproxy.files.model import File, FileState, OwnerType, Share, Visibility
from imgproxy.files.principal import Kind, Principal


class Action(StrEnum):
    """What may be done with a file."""

    LIST = "list"
    """Have it among the answers of a list."""
    GET = "get"
    PATCH = "patch"
    DELETE = "delete"
    """Delete it, and restore it."""
    DOWNLOAD = "download"
    """Be given a URL to the bytes as they are."""
    IMAGE = "image"
    """Be shown it by the image CDN."""
    SHARE = "share"
    """See and say who it is shared with."""


_READING = (Action.LIST, Action.GET, Action.DOWNLOAD)
_OF_DELETED = (Action.GET, Action.DELETE)


def allows(
    principal: Principal, action: Action, file: File, shares: Iterable[Share] = (), *, now: int
) -> bool:
    """Whether a principal may do this with a file at `now`, in milliseconds.

    `shares` are those of the file; they are looked at for a `shared` file only.
    """
    if principal.tenant != file.tenant or file.state is FileState.PURGED:
        return False
    if file.state is FileState.DELETED:
        return action in _OF_DELETED and _has_all_rights(principal, file)
    if action is Action.IMAGE:
        return file.visibility is Visibility.PUBLIC
    if _has_all_rights(principal, file):
        return True
    return action in _READING and _sees(principal, file, shares, now)


def require(
    principal: Principal, action: Action, file: File, shares: Iterable[Share] = (), *, now: int
) -> None:
    """Let pass what is allowed; else raise `FileNotFound`, or `AccessDenied` to who may see it.

    Whatever somebody may not see is not there for him, whether it is another tenant's, private, or deleted.
    """
    if allows(principal, action, file, shares, now=now):
        return
    if file.state is FileState.READY and allows(principal, Action.GET, file, shares, now=now):
        raise AccessDenied(f"you may not {action} this file")
    raise FileNotFound("there is no such file")


def _has_all_rights(principal: Principal, file: File) -> bool:
    return principal.is_service or owns(principal, file)


def shared_until(principal: Principal, file: File, shares: Iterable[Share] = (), *, now: int) -> int | None:
    """Return when a principal's shares of a file have all ended; None if they see it without, or for ever."""
    if file.visibility is not Visibility.SHARED or _has_all_rights(principal, file):
        return None
    ends = [share.expires_at for share in shares if _names(share, principal, now)]
    return max((end for end in ends if end is not None), default=None) if None not in ends else None


def listed_owner(
    principal: Principal, owner_type: OwnerType | None, owner_id: str | None
) -> OwnerType | None:
    """Return the owner type to filter a list by; raise `AccessDenied` naming the filter.

    Only a secret key and the owner are told whose a file is. Any other filter by owner would tell it as well,
    by what the list holds or how many there are; so a user may ask for their own files and nobody else's.
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


def owns(principal: Principal, file: File) -> bool:
    """Whether a file is this user's own."""
    is_user = principal.kind is Kind.USER and file.owner.type == "user"
    return is_user and principal.tenant == file.tenant and principal.user == file.owner.id != ""


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
