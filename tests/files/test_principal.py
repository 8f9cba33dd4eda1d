"""What a principal says of itself."""

from __future__ import annotations

import pytest

from imgproxy.files.model import Owner, TenantId
from imgproxy.files.principal import Kind, Principal

T = TenantId("t")


@pytest.mark.parametrize(
    ("principal", "owner"),
    [
        (Principal(T, Kind.USER, user="olga"), Owner("user", "olga")),
        (Principal(T, Kind.SERVICE), Owner("service")),
        (Principal(T, Kind.ANONYMOUS), Owner("public")),
    ],
)
def test_a_file_belongs_to_whoever_made_it(principal: Principal, owner: Owner) -> None:
    assert principal.owner == owner


def test_no_user_can_be_named_like_the_service() -> None:
    names = {
        Principal(T, Kind.USER, user="").name,
        Principal(T, Kind.USER, user="service:").name,
        Principal(T, Kind.SERVICE).name,
        Principal(T, Kind.ANONYMOUS).name,
    }
    assert len(names) == 4
