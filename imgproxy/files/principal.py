"""Who asks: a tenant, and within it nobody in particular, a user, or the tenant itself.

A principal is made of credentials alone, never of what a body or a query says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from imgproxy.files.model import Owner, TenantId


class Kind(StrEnum):
    """What is known of whoever asks, beyond the tenant."""

    ANONYMOUS = "anonymous"
    """Holds a publishable key; anybody who can read the page does."""
    USER = "user"
    """Has shown a token that names a user."""
    SERVICE = "service"
    """Holds a secret key: acts for the tenant and sees everything of it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever asks, for the length of one request."""

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
        """Whose a file will be that this principal makes."""
        if self.kind is Kind.USER:
            return Owner("user", self.user)
        return Owner("service" if self.is_service else "public")
