"""The README's own text, as tests run it: the code blocks below a heading."""

from __future__ import annotations

from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def code(heading: str, language: str) -> str:
    """All blocks in a language between a heading and the next one, joined."""
    found: list[str] = []
    at, block = "", ""
    for line in README.read_text().splitlines(keepends=True):
        if line.startswith("```"):
            block = "" if block else line[3:].strip() or "text"
        elif block:
            found += [line] if (at, block) == (heading, language) else []
        elif line.startswith("#"):
            at = line.strip("# \n")
    assert found, f"the README has {language} below {heading!r}"
    return "".join(found)


def filled_in(text: str, places: dict[str, str]) -> str:
    """The text with what is the reader's to fill in."""
    for place, value in places.items():
        assert text.count(place) == 1, f"{place!r} must stand there once"
        text = text.replace(place, value)
    return text
