"""What a person can get wrong that is neither a setting nor the parser's to find."""

from __future__ import annotations


class UsageError(Exception):
    """What was asked for cannot be; one line says why."""
