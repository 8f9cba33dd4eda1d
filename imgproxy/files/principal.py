"""Principal of a request: an anonymous client, a user, or the service of a tenant.

A principal is made of credentials alone, never of what a body or a query says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from imgproxy.files.model import Owner, TenantId


class Kind(StrEnum):
    """Kind of a principal."""

    ANONYMOUS = "anonymous"
    """Holds a publishable key; anybody who can read the page does."""
    USER = "user"
    """Has shown a token that names a user."""
    SERVICE = "service"
    """Holds a secret key: acts for the tenant and sees everything of it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Principal of one request."""

    tenant: TenantId
    kind: Kind
    user: str = ""
    role: str = ""
    groups: frozenset[str] = frozenset()

    @property
    def is_service(self) -> bool:
        return self.kind is Kind.SERVICE

    @property
    def name(self) -> str:
        """One text for one principal of a tenant: to remember by, not to show."""
        return f"{self.kind}:{self.user}"

    @property
    def owner(self) -> Owner:
        """Return the owner of files that this principal creates."""
        if self.kind is Kind.USER:
            return Owner("user", self.user)
        return Owner("service" if self.is_service else "public")
