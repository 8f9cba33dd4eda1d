"""Who may do what: every visibility, every kind of principal, every action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgproxy.errors import AccessDenied, FileNotFound
from imgproxy.files.model import File, FileId, FileState, Owner, OwnerType, Share, TenantId, Visibility
from imgproxy.files.policy import (
    Action,
    ListScope,
    allows,
    has_full_access,
    is_public,
    list_scopes,
    listed_owner,
    require,
    shared_until,
)
from imgproxy.files.principal import Kind, Principal
from imgproxy.image.source import parse_key
from tests.files.samples import ACME, NOW, OTHER, file

HERE = TenantId("here")

TABLE = """
public      anonymous  owner  other  shared  by-role  secret  elsewhere
  list      yes        yes    yes    yes     yes      yes     -
  get       yes        yes    yes    yes     yes      yes     -
  patch     -          yes    -      -       -        yes     -
  delete    -          yes    -      -       -        yes     -
  download  yes        yes    yes    yes     yes      yes     -
  share     -          yes    -      -       -        yes     -

private     anonymous  owner  other  shared  by-role  secret  elsewhere
  list      -          yes    -      -       -        yes     -
  get       -          yes    -      -       -        yes     -
  patch     -          yes    -      -       -        yes     -
  delete    -          yes    -      -       -        yes     -
  download  -          yes    -      -       -        yes     -
  share     -          yes    -      -       -        yes     -

protected   anonymous  owner  other  shared  by-role  secret  elsewhere
  list      -          yes    yes    yes     yes      yes     -
  get       -          yes    yes    yes     yes      yes     -
  patch     -          yes    -      -       -        yes     -
  delete    -          yes    -      -       -        yes     -
  download  -          yes    yes    yes     yes      yes     -
  share     -          yes    -      -       -        yes     -

shared      anonymous  owner  other  shared  by-role  secret  elsewhere
  list      -          yes    -      yes     yes      yes     -
  get       -          yes    -      yes     yes      yes     -
  patch     -          yes    -      -       -        yes     -
  delete    -          yes    -      -       -        yes     -
  download  -          yes    -      yes     yes      yes     -
  share     -          yes    -      -       -        yes     -
"""

PRINCIPALS = {
    "anonymous": Principal(HERE, Kind.ANONYMOUS),
    "owner": Principal(HERE, Kind.USER, user="olga"),
    "other": Principal(HERE, Kind.USER, user="otto", role="reader", groups=frozenset({"sales"})),
    "shared": Principal(HERE, Kind.USER, user="sam"),
    "by-role": Principal(HERE, Kind.USER, user="rita", role="editor"),
    "secret": Principal(HERE, Kind.SERVICE),
    "elsewhere": Principal(TenantId("there"), Kind.USER, user="olga", role="editor"),
}
SHARES = (Share("user", "sam"), Share("role", "editor"))


def a_file(visibility: Visibility = Visibility.PUBLIC, state: FileState = FileState.READY) -> File:
    return File(
        id=FileId("0197a1f0-0000-7000-8000-000000000001"),
        tenant=HERE,
        collection="images",
        key=parse_key("images/Xy/cat.jpg"),
        object_key=parse_key("files/here/1/abc"),
        etag="e",
        original_name="cat.jpg",
        mime_type="image/jpeg",
        size=3,
        visibility=visibility,
        owner=Owner("user", "olga"),
        state=state,
        created_at=NOW,
        updated_at=NOW,
    )


def cells() -> list[tuple[Visibility, str, Action, bool]]:
    found = []
    for block in TABLE.strip().split("\n\n"):
        head, *rows = (line.split() for line in block.splitlines())
        for action, *marks in rows:
            for name, mark in zip(head[1:], marks, strict=True):
                found.append((Visibility(head[0]), name, Action(action), mark == "yes"))
    return found


def test_the_table_has_every_case_once() -> None:
    asked = [(visibility, name, action) for visibility, name, action, _ in cells()]
    every = [(v, name, action) for v in Visibility for name in PRINCIPALS for action in Action]
    assert len(asked) == 4 * 6 * 7
    assert set(asked) == set(every)


@pytest.mark.parametrize(("visibility", "name", "action", "allowed"), cells())
def test_the_table_holds(visibility: Visibility, name: str, action: Action, allowed: bool) -> None:
    assert allows(PRINCIPALS[name], action, a_file(visibility), SHARES, now=NOW) == allowed


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("name", PRINCIPALS)
def test_a_deleted_file_is_there_for_those_only_who_could_delete_it(name: str, action: Action) -> None:
    deleted = a_file(Visibility.PUBLIC, FileState.DELETED)
    expected = name in ("owner", "secret") and action in (Action.GET, Action.DELETE)
    assert allows(PRINCIPALS[name], action, deleted, SHARES, now=NOW) == expected


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("name", PRINCIPALS)
def test_a_purged_file_is_gone_for_everybody(name: str, action: Action) -> None:
    purged = a_file(Visibility.PUBLIC, FileState.PURGED)
    assert not allows(PRINCIPALS[name], action, purged, SHARES, now=NOW)


@pytest.mark.parametrize(("expires", "allowed"), [(NOW + 1, True), (NOW, False), (NOW - 1, False)])
def test_a_share_ends_at_its_instant(expires: int, allowed: bool) -> None:
    shares = [Share("user", "sam", expires_at=expires)]
    file = a_file(Visibility.SHARED)
    assert allows(PRINCIPALS["shared"], Action.GET, file, shares, now=NOW) == allowed


def test_a_share_with_a_group_lets_its_members_see() -> None:
    file = a_file(Visibility.SHARED)
    assert allows(PRINCIPALS["other"], Action.GET, file, [Share("group", "sales")], now=NOW)


@pytest.mark.parametrize("type_", ["user", "role", "group"])
def test_a_share_with_nobody_is_a_share_with_nobody(type_: str) -> None:
    nameless = Principal(HERE, Kind.USER)
    assert not allows(nameless, Action.GET, a_file(Visibility.SHARED), [Share(type_, "")], now=NOW)  # type: ignore[arg-type]


def test_has_full_access_without_an_owner_is_the_secret_key_s() -> None:
    assert has_full_access(PRINCIPALS["secret"], a_file())
    assert not has_full_access(Principal(HERE, Kind.USER), replace(a_file(), owner=Owner("user")))


def test_has_full_access_is_not_given_to_a_user_with_the_name_of_a_session() -> None:
    assert not has_full_access(PRINCIPALS["owner"], replace(a_file(), owner=Owner("session", "olga")))


def test_is_public_holds_for_ready_public_files_only() -> None:
    for visibility, state in product(Visibility, FileState):
        file = replace(a_file(visibility), state=state)
        assert is_public(file) == (visibility is Visibility.PUBLIC and state is FileState.READY)


@pytest.mark.parametrize(
    ("name", "file", "refusal"),
    [
        ("elsewhere", a_file(Visibility.PUBLIC), FileNotFound),
        ("elsewhere", a_file(Visibility.PRIVATE), FileNotFound),
        ("other", a_file(Visibility.PRIVATE), FileNotFound),
        ("anonymous", a_file(Visibility.PROTECTED), FileNotFound),
        ("other", a_file(Visibility.PUBLIC, FileState.DELETED), FileNotFound),
        ("secret", a_file(Visibility.PUBLIC, FileState.PURGED), FileNotFound),
    ],
)
def test_a_refusal_says_no_more_than_the_asker_may_know(
    name: str, file: File, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        require(PRINCIPALS[name], Action.GET, file, SHARES, now=NOW)


def test_what_is_allowed_passes() -> None:
    require(PRINCIPALS["owner"], Action.PATCH, a_file(Visibility.PRIVATE), now=NOW)


@pytest.mark.parametrize("action", [Action.PATCH, Action.DELETE, Action.SHARE])
@pytest.mark.parametrize(
    ("name", "visibility"),
    [
        ("other", Visibility.PUBLIC),
        ("other", Visibility.PROTECTED),
        ("shared", Visibility.SHARED),
        ("anonymous", Visibility.PUBLIC),
    ],
)
def test_who_sees_a_file_is_told_that_he_may_not_change_it(
    name: str, visibility: Visibility, action: Action
) -> None:
    with pytest.raises(AccessDenied):
        require(PRINCIPALS[name], action, a_file(visibility), SHARES, now=NOW)


def test_a_deleted_file_is_not_there_to_be_changed() -> None:
    with pytest.raises(FileNotFound):
        require(PRINCIPALS["owner"], Action.PATCH, a_file(state=FileState.DELETED), now=NOW)


@pytest.mark.parametrize(
    ("name", "type_", "id_", "field"),
    [
        ("owner", "user", "otto", "ownerId"),
        ("owner", None, "otto", "ownerId"),
        ("owner", "user", None, "ownerType"),
        ("owner", "service", None, "ownerType"),
        ("owner", "session", "olga", "ownerType"),
        ("anonymous", "user", "olga", "ownerId"),
        ("anonymous", None, "", "ownerId"),
        ("anonymous", "public", None, "ownerType"),
    ],
)
def test_listed_owner_refuses_another_owner_and_names_the_filter(
    name: str, type_: OwnerType | None, id_: str | None, field: str
) -> None:
    with pytest.raises(AccessDenied, match=f"^{field}: must be|^{field}: must come"):
        listed_owner(PRINCIPALS[name], type_, id_)


@pytest.mark.parametrize(
    ("name", "type_", "id_", "expected"),
    [
        ("owner", None, None, None),
        ("owner", "user", "olga", "user"),
        ("owner", None, "olga", "user"),
        ("anonymous", None, None, None),
        ("secret", "session", "otto", "session"),
        ("secret", None, "otto", None),
    ],
)
def test_listed_owner_is_ones_own_or_whichever_a_secret_key_asks_for(
    name: str, type_: OwnerType | None, id_: str | None, expected: OwnerType | None
) -> None:
    assert listed_owner(PRINCIPALS[name], type_, id_) == expected


@pytest.mark.parametrize(
    ("name", "visibility", "shares", "end"),
    [
        ("shared", "shared", [Share("user", "sam", NOW + 5)], NOW + 5),
        ("shared", "shared", [Share("user", "sam", NOW + 5), Share("user", "otto", NOW + 9)], NOW + 5),
        ("shared", "shared", [Share("user", "sam")], None),
        ("other", "shared", [Share("user", "otto", NOW + 5), Share("role", "reader", NOW + 9)], NOW + 9),
        ("other", "shared", [Share("user", "otto", NOW + 5), Share("group", "sales")], None),
        ("owner", "shared", [Share("user", "olga", NOW + 5)], None),
        ("secret", "shared", [Share("user", "sam", NOW + 5)], None),
        ("shared", "public", [Share("user", "sam", NOW + 5)], None),
    ],
)
def test_shared_until_is_the_end_of_the_last_share_if_all_end(
    name: str, visibility: str, shares: list[Share], end: int | None
) -> None:
    file = a_file(visibility=Visibility(visibility))
    assert shared_until(PRINCIPALS[name], file, shares, now=NOW) == end


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
