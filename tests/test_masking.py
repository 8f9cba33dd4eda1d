"""Passwords in text for people are masked, and targets of requests stay as they are."""

from __future__ import annotations

import pytest

from imgproxy.masking import masked, masked_message, masked_setting


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "cannot connect to postgresql://olga:hunter2@db:5432/x",
            "cannot connect to postgresql://***@db:5432/x",
        ),
        ("'https://hunter2@a', 'https://o:hunter2@b'", "'https://***@a', 'https://***@b'"),
        ("https://o:hunter2@hunter2@b/c", "https://***@b/c"),
        ("/unsafe/https://host/photo@2x.jpg", "/unsafe/https://host/photo@2x.jpg"),
        ("/filters:fill(red)/photo@2x.jpg", "/filters:fill(red)/photo@2x.jpg"),
        ("olga@example.com", "olga@example.com"),
    ],
)
def test_masked_hides_the_user_and_password_of_urls_alone(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://o:hunter 2/@host/keys", "***@host/keys"),
        ("o:hunter2@host", "***@host"),
        ("https://host?a=hunter2&b=hunter2", "https://host?a=***&b=***"),
        ("https://host/keys", "https://host/keys"),
    ],
)
def test_masked_setting_hides_whatever_may_be_a_credential(text: str, shown: str) -> None:
    assert masked_setting(text) == shown


def test_masked_message_hides_quoted_words_alone() -> None:
    assert masked_message("x is expected; not 'o:hunter2@host'") == "x is expected; not '***@host'"
    assert "hunter2" not in masked_message("not 'o:'hunter2@host'")


def test_what_is_expected_of_a_database_is_told_whole() -> None:
    told = "postgresql://[USER[:PASSWORD]@]HOST[:PORT]/NAME is expected"
    assert (masked(told), masked_message(told)) == (told, told)
