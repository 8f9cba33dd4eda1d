"""Rules of language: docstrings, commit titles, words; `python -m tests.test_language` counts findings.

A finding has the file, the line and a better word. Rooms are listed once they are clean.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import ROOT

CLEAN = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs"),
    *("imgproxy/demo", "imgproxy/unknown_variables.py"),
    *("tests/demo", "tests/documents.py", "tests/test_docs.py"),
)
"""Files and folders without findings; a room that has been cleaned is added here."""

FIRST_COMMIT = "8921e31"
"""Last commit before the rules."""

LANDED = {
    "dialects, storage, api, image: rename modules and classes by the table of names",
    "image, storage: say image and source, and begin docstrings with the subject",
    "storage: one file and one line for each storage, its URL grammar included",
}
"""Titles of commits that landed before this test; history is not rewritten."""

BETTER = {
    r"nobody": "no client, no process",
    r"somebody|anybody|whoever": "a client, a user, a process",
    r"whatever": "any",
    r"of ours": "of the server",
    r"any more": "no longer",
    r"meanwhile": "while …",
    r"ask(?:s|ed|ing)?": "request, query",
    r"tells?|told": "report, state, send",
    r"said": "declared",
    r"wish(?:es|ed)?": "request, params",
    r"keeps? (?:a|its|the) promises?": "holds",
    r"bury|buried|buries": "reap",
    r"crews?": "workers",
    r"errands?": "background task",
    r"pictures?": "image",
    r"exhibits?": "demo",
}
_WORD = re.compile("|".join(rf"(?P<w{index}>{word})" for index, word in enumerate(BETTER)), re.IGNORECASE)
_LETTER = re.compile(r"[A-Za-z]")
_RELATIVE = {"what", "who", "whose", "whom", "which", "where", "how", "whether", "whoever", "whatever"}
_NO_VERB = {
    "a",
    "an",
    "the",
    "this",
    "these",
    "that",
    "all",
    "every",
    "each",
    "its",
    "our",
    "one",
    "if",
    "not",
}
_TITLE = re.compile(r"[a-z0-9_.,/ -]+: [a-z].*")
_CODE = re.compile(
    r"^<!-- generated.*?<!-- end -->|^```.*?^```$|`[^`\n]*`|\]\([^)]*\)|<[^>\n]*>", re.MULTILINE | re.DOTALL
)


def files(*paths: str) -> list[Path]:
    """Return the Python and Markdown files of some paths, but for this one and the list itself."""
    found: list[Path] = []
    for path in paths:
        place = ROOT / path
        found += [place] if place.is_file() else [*place.rglob("*.py"), *place.rglob("*.md")]
    return sorted(
        each for each in found if each.name != "test_language.py" and "node_modules" not in each.parts
    )


def findings(path: Path) -> Iterator[str]:
    """Yield each finding of a file: place, text and better word."""
    text, name = path.read_text(), path.relative_to(ROOT)
    for line, found, better in [*wrong_words(text, path.suffix), *wrong_docstrings(text, path.suffix)]:
        yield f"{name}:{line}: {found!r}: {better}"


def wrong_words(text: str, suffix: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, word and better word; code and links of Markdown are left out."""
    if suffix == ".md":
        text = _CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), text)
    for found in _WORD.finditer(text):
        around = text[max(0, found.start() - 1) : found.start()] + text[found.end() : found.end() + 1]
        if not _LETTER.search(around):  # an underscore separates words of a name
            better = list(BETTER.values())[int((found.lastgroup or "w0")[1:])]
            yield text.count("\n", 0, found.start()) + 1, found[0], better


def wrong_docstrings(text: str, suffix: str) -> Iterator[tuple[int, str, str]]:
    """Yield docstrings that begin with a relative clause, and those of functions without a verb."""
    if suffix != ".py":
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = ((ast.get_docstring(node) or "").split() or [""])[0].lower().strip("`\"'.,:;")
            line = node.body[0].lineno if first else 0
            if first in _RELATIVE:
                yield line, first, "begin with an imperative verb or a noun phrase"
            elif first in _NO_VERB and _needs_verb(node):
                yield line, first, "begin with an imperative verb"


def _needs_verb(node: ast.AST) -> bool:
    """Return whether a node is a function, and neither a property nor a fixture."""
    decorators = [ast.unparse(each) for each in getattr(node, "decorator_list", ())]
    nouns = any("property" in each or "fixture" in each for each in decorators)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not nouns


def titles() -> list[str]:
    """Return the titles of the commits under the rules; none in a copy without history."""
    command = ["git", "log", "--format=%s", f"{FIRST_COMMIT}..HEAD"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    found = done.stdout.splitlines() if done.returncode == 0 else []
    return [title for title in found if title not in LANDED]


@pytest.mark.parametrize("path", files(*CLEAN), ids=lambda path: str(path.relative_to(ROOT)))
def test_findings_of_a_clean_room_are_none(path: Path) -> None:
    assert "\n".join(findings(path)) == ""


def test_titles_are_an_area_and_an_imperative_of_72_characters_at_most() -> None:
    verb = r"(?!\w+(?:ing|ed)\b)|(?=(?:bring|need|feed|embed|shed|seed|speed)\b)"
    wrong = [title for title in titles() if len(title) > 72 or not _TITLE.fullmatch(title)]
    wrong += [title for title in titles() if not re.match(rf"[^:]+: (?:{verb})", title)]
    assert "\n".join(wrong) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1  # nobody knows\n", "nobody"),
        ("asked_at = 1\n", "asked"),
        ('def f():\n    """What it is."""\n', "what"),
        ('def f():\n    """The value."""\n', "the"),
        ('class A:\n    """Whether it is so."""\n', "whether"),
    ],
)
def test_findings_of_a_wrong_text(tmp_path: Path, text: str, expected: str) -> None:
    found = [*wrong_words(text, ".py"), *wrong_docstrings(text, ".py")]
    assert [word for _, word, _ in found] == [expected]


@pytest.mark.parametrize("text", ["task = 1\n", '"""The module."""\n', "password = masked\n"])
def test_findings_of_a_right_text_are_none(text: str) -> None:
    assert [*wrong_words(text, ".py"), *wrong_docstrings(text, ".py")] == []


def main() -> None:
    """Print the number of findings of each room."""
    counts: Counter[str] = Counter()
    for path in files("README.md", "docs", "imgproxy", "tests", "bench"):
        parts = path.relative_to(ROOT).parts
        counts["/".join(parts[:2])] += len(list(findings(path)))
    for room, count in counts.most_common():
        print(f"{count:5} {room}")


if __name__ == "__main__":
    main()
