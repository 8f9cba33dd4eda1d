"""Promises of `imgproxy.files.database_url`."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgproxy.files.database_url import DatabaseUrl, PostgresUrl, SqliteUrl, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sqlite:///./data/imgproxy.db", SqliteUrl(Path("data/imgproxy.db"))),
        ("sqlite:////var/lib/record.db", SqliteUrl(Path("/var/lib/record.db"))),
        ("sqlite:///a%20b.db", SqliteUrl(Path("a b.db"))),
        ("postgresql://h/n", PostgresUrl("postgresql://h/n")),
        ("postgres://u:p@h:1/n?sslmode=require", PostgresUrl("postgresql://u:p@h:1/n?sslmode=require")),
    ],
)
def test_an_address_is_read(text: str, expected: DatabaseUrl) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "record.db",
        "sqlite://",
        "sqlite:///",
        "sqlite://host/x",
        "sqlite:///x?mode=ro",
        "mysql://secret@h/n",
        "postgresql://secret@h",
        "postgresql://secret@h/",
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="is expected") as refused:
        parse(text)
    assert "secret" not in str(refused.value)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(parse("postgresql://u:secret@h/n"))
