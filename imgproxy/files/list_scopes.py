"""Scopes of lists: the files that a principal may list, as data that SQL is made of.

`policy.allows` decides about one file; these scopes say the same of all files of a tenant, one index
range at a time. A property test holds both equal.
"""

from __future__ import annotations

from dataclasses import dataclass

from imgproxy.files.model import ShareType, Visibility
from imgproxy.files.principal import Kind, Principal


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
