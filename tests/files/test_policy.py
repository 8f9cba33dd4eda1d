"""Who may do what: every visibility, every kind of principal, every action."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgproxy.errors import AccessDenied, FileNotFound
from imgproxy.files.model import File, FileId, FileState, Owner, OwnerType, Share, TenantId, Visibility
from imgproxy.files.policy import Action, allows, listed_owner, owns, require, shared_until
from imgproxy.files.principal import Kind, Principal
from imgproxy.image.source import parse_key

NOW = 1_800_000_000_000
HERE = TenantId("here")

TABLE = """
public      anonymous  owner  other  shared  by-role  secret  elsewhere
  list      yes        yes    yes    yes     yes      yes     -
  get       yes        yes    yes    yes     yes      yes     -
  patch     -          yes    -      -       -        yes     -
  delete    -          yes    -      -       -        yes     -
  download  yes        yes    yes    yes     yes      yes     -
  image     yes        yes    yes    yes     yes      yes     -
  share     -          yes    -      -       -        yes     -

private     anonymous  owner  other  shared  by-role  secret  elsewhere
  list      -          yes    -      -       -        yes     -
  get       -          yes    -      -       -        yes     -
  patch     -          yes    -      -       -        yes     -
  delete    -          yes    -      -       -        yes     -
  download  -          yes    -      -       -        yes     -
  image     -          -      -      -       -        -       -
  share     -          yes    -      -       -        yes     -

protected   anonymous  owner  other  shared  by-role  secret  elsewhere
  list      -          yes    yes    yes     yes      yes     -
  get       -          yes    yes    yes     yes      yes     -
  patch     -          yes    -      -       -        yes     -
  delete    -          yes    -      -       -        yes     -
  download  -          yes    yes    yes     yes      yes     -
  image     -          -      -      -       -        -       -
  share     -          yes    -      -       -        yes     -

shared      anonymous  owner  other  shared  by-role  secret  elsewhere
  list      -          yes    -      yes     yes      yes     -
  get       -          yes    -      yes     yes      yes     -
  patch     -          yes    -      -       -        yes     -
  delete    -          yes    -      -       -        yes     -
  download  -          yes    -      yes     yes      yes     -
  image     -          -      -      -       -        -       -
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
    assert len(asked) == 4 * 7 * 7
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


def test_a_service_owns_no_user_file_and_a_file_without_an_owner_has_no_owner() -> None:
    assert not owns(PRINCIPALS["secret"], a_file())
    assert not owns(Principal(HERE, Kind.USER), replace(a_file(), owner=Owner("user")))


def test_a_user_does_not_own_what_a_session_of_that_name_owns() -> None:
    assert not owns(PRINCIPALS["owner"], replace(a_file(), owner=Owner("session", "olga")))


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
