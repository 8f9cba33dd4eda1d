"""Passwords in text for people: errors, logs and `doctor`, wherever a setting takes a URL."""

from __future__ import annotations

import re

_MASK = "***"
_USERINFO = re.compile(r"://(?!\[USER)[^\s/]*@")  # not of `postgresql://[USER[:PASSWORD]@]HOST`, which we say
_BEFORE_HOST = re.compile(r"[^'\"]*@")
_QUOTED = re.compile(r"'[^']*@")
_QUERY = re.compile(r"([?&][^\s=&?]+=)[^\s&]+")


def masked(text: str) -> str:
    """Return the text without the user and password of any URL in it (RFC 3986 §3.2.1).

    A path is left alone, for the targets of requests are logged and hold `@2x`.
    """
    return _USERINFO.sub(f"://{_MASK}@", text)


def masked_setting(text: str) -> str:
    """Return the text of a setting that was refused, without what could be a credential.

    Its URL may be written wrongly, so everything before an `@` goes, and every value of a query.
    """
    return _QUERY.sub(rf"\1{_MASK}", _BEFORE_HOST.sub(f"{_MASK}@", text))


def masked_message(text: str) -> str:
    """Return what a check says of a setting; the words that it quotes are the setting's."""
    return _QUOTED.sub(f"'{_MASK}@", text)
