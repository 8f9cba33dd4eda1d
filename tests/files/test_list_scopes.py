"""Tests of `imgproxy.files.list_scopes`: the scopes of lists and `policy.allows` are one policy."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from imgproxy.files.list_scopes import ListScope, list_scopes
from imgproxy.files.model import File, FileState, Owner, Share, Visibility
from imgproxy.files.policy import Action, allows
from imgproxy.files.principal import Kind, Principal
from tests.files.samples import ACME, NOW, OTHER, file

_NAMES = st.sampled_from(("", "ann", "bob"))
_TENANTS = st.sampled_from((ACME, OTHER))
_PRINCIPALS = st.builds(
    Principal,
    _TENANTS,
    st.sampled_from(Kind),
    user=_NAMES,
    role=_NAMES,
    groups=st.frozensets(st.sampled_from(("ann", "cats"))),
)
_FILES = st.builds(
    file,
    tenant=_TENANTS,
    visibility=st.sampled_from(Visibility),
    state=st.sampled_from(FileState),
    owner=st.builds(Owner, st.sampled_from(("user", "session", "service", "public")), _NAMES),
)
_SHARES = st.lists(
    st.builds(
        Share,
        st.sampled_from(("user", "role", "group")),
        st.sampled_from(("", "ann", "bob", "cats")),
        st.sampled_from((None, NOW, NOW + 1)),
    ),
    max_size=3,
)


def _holds(scope: ListScope, given: File, shares: Sequence[Share]) -> bool:
    """Return whether a scope holds a ready file of the principal's tenant, as the SQL of lists reads it."""
    if scope.visibility != given.visibility:
        return False
    if scope.owner is not None:
        return given.owner == Owner("user", scope.owner)
    lasting = {(each.type, each.id) for each in shares if each.expires_at is None or each.expires_at > NOW}
    return scope.is_whole or not lasting.isdisjoint(scope.shared_with)


@settings(max_examples=500)
@given(principal=_PRINCIPALS, given_file=_FILES, shares=_SHARES)
def test_list_scopes_hold_exactly_what_allows_lets_a_principal_list(
    principal: Principal, given_file: File, shares: list[Share]
) -> None:
    is_listed = (
        given_file.tenant == principal.tenant
        and given_file.state is FileState.READY
        and any(_holds(scope, given_file, shares) for scope in list_scopes(principal))
    )
    assert is_listed == allows(principal, Action.LIST, given_file, shares, now=NOW)


def test_list_scopes_look_for_shares_under_every_name_of_a_user() -> None:
    ann = Principal(ACME, Kind.USER, user="ann", role="editor", groups=frozenset({"cats"}))
    assert list_scopes(ann)[-1].shared_with == (("user", "ann"), ("role", "editor"), ("group", "cats"))
