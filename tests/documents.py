"""Code blocks of the documentation, as tests run them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
FILES_API = ROOT / "docs" / "files-api.md"


def code(page: Path, heading: str, language: str) -> str:
    """Return all blocks in a language between a heading and the next one, joined."""
    found: list[str] = []
    at, block = "", ""
    for line in page.read_text().splitlines(keepends=True):
        if line.startswith("```"):
            block = "" if block else line[3:].strip() or "text"
        elif block:
            found += [line] if (at, block) == (heading, language) else []
        elif line.startswith("#"):
            at = line.strip("# \n")
    assert found, f"{page.name} must have {language} below {heading!r}"
    return "".join(found)


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """Return the text with each placeholder replaced; each must be in it."""
    for placeholder, value in values.items():
        assert placeholder in text, f"{placeholder!r} is missing"
        text = text.replace(placeholder, value)
    return text
