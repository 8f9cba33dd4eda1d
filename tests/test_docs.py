"""What the program can do is in the README, and what the README says it can do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imgproxy.cli import parser
from imgproxy.dialects.query_params import QUERY_PARAMS
from imgproxy.http.problems import meanings
from imgproxy.image.filters import FILTERS
from imgproxy.image.formats import READERS, WRITTEN
from imgproxy.settings import Settings, variables

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SECURITY = (ROOT / "docs" / "security.md").read_text()


@pytest.mark.parametrize("name", variables())
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


def test_the_readme_names_no_setting_that_is_not_there() -> None:
    assert set(re.findall(r"IMGPROXY_[A-Z_]+", README)) <= set(variables())


@pytest.mark.parametrize("name", [each.name for each in FILTERS])
def test_every_filter_is_in_the_readme(name: str) -> None:
    assert re.search(rf"`[^`]*\b{name}\(", README)


@pytest.mark.parametrize("name", READERS)
def test_every_reader_is_in_the_readme_with_what_it_reads(name: str) -> None:
    assert re.search(rf"^\| `{name}` \| {' '.join(READERS[name])} \|", README, re.MULTILINE)


def test_the_types_that_are_written_are_in_the_readme() -> None:
    assert f"Writes {' '.join(WRITTEN)}." in README


@pytest.mark.parametrize("name", [each.name for each in QUERY_PARAMS])
def test_every_query_parameter_is_in_the_readme(name: str) -> None:
    assert re.search(rf"`{name}[`=]", README)


@pytest.mark.parametrize("status", sorted({each.status for each in meanings() if "image/" in each.code}))
def test_every_status_is_in_the_readme(status: int) -> None:
    assert re.search(rf"^\|[^|]*\b{status}\b", README, re.MULTILINE)


@pytest.mark.parametrize("command", ["serve", "sign", "transform", "key", "token", "openapi", "doctor"])
def test_every_command_has_a_help_worth_reading(command: str) -> None:
    assert command in parser().format_help()
    assert f"imgproxy {command}" in README


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/security.md"])
def test_every_file_that_the_documents_name_is_there(path: str) -> None:
    text = (ROOT / path).read_text()
    named = re.findall(r"`((?:imgproxy|tests|docs|bench)/[\w/.]+\.(?:py|md))`", text)
    made_up = {"sepia", "gcs", "imgix", "psd", "/x/"}  # what CONTRIBUTING adds as an example
    missing = [
        name for name in named if not (ROOT / name).exists() and not any(word in name for word in made_up)
    ]
    assert missing == []


_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "s": 1, "": 1}
_LIMIT = re.compile(r"^\|[^|]+\| `IMGPROXY_(\w+)` \| (\d+) ?(KiB|MiB|GiB|s|)(?: \(any\))? \|", re.MULTILINE)
LIMITS = {name: int(number) * _UNITS[unit] for name, number, unit in _LIMIT.findall(SECURITY)}


@pytest.mark.parametrize("name", LIMITS)
def test_default_of_a_limit_in_docs_security_is_the_settings_own(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"IMGPROXY_{name}", raising=False)
    assert getattr(Settings(), name.lower()) == LIMITS[name]


def test_docs_security_has_every_limit() -> None:
    section = SECURITY.split("## Limits")[1].split("\n## ")[0]
    assert len(LIMITS) == section.count("| `IMGPROXY_")
    bounds = {name for name in variables() if re.search("_(MAX|MIN)_", name)}
    assert bounds <= {f"IMGPROXY_{name}" for name in LIMITS}


def test_docs_security_names_no_setting_that_is_not_there() -> None:
    assert set(re.findall(r"IMGPROXY_[A-Z_]+", SECURITY)) <= set(variables())
