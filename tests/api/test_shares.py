"""Shares over HTTP."""

from __future__ import annotations

import pytest

from imgproxy.files.model import Visibility
from tests.api import shell
from tests.api.conftest import Counter
from tests.api.test_files import OTHERS, ask, made


async def test_what_is_shared_is_told_as_it_was_given(counter: Counter) -> None:
    file = await made(counter.desk, visibility=Visibility.SHARED)
    path = f"/v1/files/{file.id}/shares"
    given = {
        "shares": [
            {"type": "user", "id": "bob", "expiresAt": "2026-12-31T12:00:00+02:00"},
            {"type": "group", "id": "sales"},
        ]
    }
    expected = {
        "shares": [
            {"type": "group", "id": "sales", "expiresAt": None},
            {"type": "user", "id": "bob", "expiresAt": "2026-12-31T10:00:00.000Z"},
        ]
    }
    assert (await ask(counter, "PUT", path, given))[:2] == (200, expected)
    assert (await ask(counter, "GET", path))[:2] == (200, expected)


async def test_shares_let_see_until_they_are_taken_away(counter: Counter) -> None:
    file = await made(counter.desk, visibility=Visibility.SHARED)
    path = f"/v1/files/{file.id}"
    shares = {"shares": [{"type": "user", "id": "bob"}, {"type": "group", "id": "sales"}]}
    sales = shell.user(sub="sue", groups=["sales"])
    await ask(counter, "PUT", f"{path}/shares", shares)
    assert (await ask(counter, "GET", path, **OTHERS))[0] == 200
    status, told, _ = await ask(counter, "DELETE", f"{path}/shares?type=user&id=bob")
    assert (status, [each["id"] for each in told["shares"]]) == (200, ["sales"])
    assert (await ask(counter, "GET", path, **OTHERS))[0] == 404
    assert (await ask(counter, "GET", path, **sales))[0] == 200
    assert (await ask(counter, "DELETE", f"{path}/shares"))[1] == {"shares": []}
    assert (await ask(counter, "GET", path, **sales))[0] == 404


@pytest.mark.parametrize(
    "share",
    [
        {"type": "robot", "id": "1"},
        {"type": "user"},
        {"type": "user", "id": ""},
        {"type": "user", "id": "bob", "expiresAt": "tomorrow"},
        {"type": "user", "id": "bob", "expiresAt": "2026-12-31T12:00:00"},
    ],
)
async def test_what_is_no_share_is_refused(counter: Counter, share: dict[str, str]) -> None:
    file = await made(counter.desk, visibility=Visibility.SHARED)
    status, told, _ = await ask(counter, "PUT", f"/v1/files/{file.id}/shares", {"shares": [share]})
    assert (status, told["error"]["code"]) == (400, "common/invalid-request")
