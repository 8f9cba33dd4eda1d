"""Error of a command's arguments that neither a setting nor the parser finds."""

from __future__ import annotations


class UsageError(Exception):
    """A command cannot run as called; the message is one line with the reason."""
