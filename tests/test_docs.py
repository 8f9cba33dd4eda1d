"""The documentation against the code: generated tables are current, names exist, limits are the defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import generate
from imgproxy.cli import parser
from imgproxy.dialects.query_params import QUERY_PARAMS
from imgproxy.http.problems import meanings
from imgproxy.image.filters import FILTERS
from imgproxy.image.formats import READERS, WRITTEN
from imgproxy.settings import Settings, variables
from tests.documents import README, ROOT

DOCS = ROOT / "docs"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
ERRORS = sorted((DOCS / "errors").rglob("*.md"))
URLS, OPERATIONS, SECURITY = (TEXTS[f"docs/{name}.md"] for name in ("urls", "operations", "security"))
REFERENCE = "\n".join(TEXTS[f"docs/{name}.md"] for name in ("urls", "files-api", "operations", "migrating"))


@pytest.mark.parametrize("page", generate.PAGES, ids=lambda page: page.name)
def test_generate_current_of_a_page_is_the_page(page: Path) -> None:
    assert generate.current(page.read_text()) == page.read_text(), "run `make docs`"


def test_every_generated_table_is_on_a_page() -> None:
    found = [name for page in generate.PAGES for _, name, _ in generate.BLOCK.findall(page.read_text())]
    assert sorted(found) == sorted(generate.TABLES)


def test_settings_of_generate_are_settings() -> None:
    assert {*generate.SECTIONS, *generate.DEFAULTS} <= set(Settings.model_fields)


def test_examples_of_generate_are_filters_or_parts_of_a_path_and_have_images() -> None:
    parts = {"source", "fit-in", "cover", "smart", "stretch", "flip", "crop", "path_padding"}
    assert set(generate.EXAMPLES) <= parts | {each.name for each in FILTERS}
    assert {path.stem for path in (DOCS / "images").iterdir()} == set(generate.EXAMPLES)
    assert {each.name for each in FILTERS if each.apply} <= set(generate.EXAMPLES)


@pytest.mark.parametrize("page", TEXTS)
def test_a_page_names_no_setting_that_does_not_exist(page: str) -> None:
    text = TEXTS[page].replace("`IMGPROXY_*`", "")
    assert set(re.findall(r"IMGPROXY_[A-Z_]+", text)) <= set(variables())


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: str) -> None:
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", TEXTS[page]):
        name, _, anchor = target.partition("#")
        path = (folder / name) if name else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text()), target


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TEXTS)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    named = re.findall(r"`((?:imgproxy|tests|docs|bench)/[\w/.]+\.(?:py|md))`", TEXTS[page])
    examples = {"CODE", "sepia", "gcs", "imgix", "psd", "/x/"}  # additions that CONTRIBUTING.md explains
    missing = [name for name in named if not (ROOT / name).exists()]
    assert [name for name in missing if not any(word in name for word in examples)] == []


def test_the_written_types_are_in_urls() -> None:
    assert f"Writes {' '.join(WRITTEN)}." in URLS


@pytest.mark.parametrize("name", READERS)
def test_every_reader_is_in_urls_with_its_types(name: str) -> None:
    assert f"| `{name}` | {' '.join(READERS[name])} |" in URLS


@pytest.mark.parametrize("name", [each.name for each in FILTERS])
def test_every_filter_is_in_urls(name: str) -> None:
    assert re.search(rf"^\| `{name}\(", URLS, re.MULTILINE)


@pytest.mark.parametrize("name", [each.name for each in QUERY_PARAMS])
def test_every_query_parameter_is_in_urls(name: str) -> None:
    assert re.search(rf"`{name}[`=]", URLS)


@pytest.mark.parametrize("status", sorted({code.status for code in meanings()}))
def test_every_status_is_in_the_reference(status: int) -> None:
    assert re.search(rf"^\|[^|]*\b{status}\b", URLS + TEXTS["docs/files-api.md"], re.MULTILINE)


COMMANDS = re.findall(r"^    (\w+) +\w", parser().format_help().partition("COMMAND\n")[2], re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_documentation(command: str) -> None:
    assert f"imgproxy {command}" in README.read_text() + REFERENCE


def test_promql_queries_name_metrics_that_exist() -> None:
    queries = re.search(r"```promql\n(.*?)```", OPERATIONS, re.DOTALL)
    assert queries is not None
    assert queries[1].count("\n\n") == 4, "five queries"
    exposed = set(re.findall(r"^\| `(imgproxy_\w+)`", OPERATIONS, re.MULTILINE))
    named = set(re.findall(r"imgproxy_\w+", queries[1]))
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in named} <= exposed


def test_pages_of_errors_are_the_codes() -> None:
    codes = {each.code for each in meanings()}
    assert {str(page.relative_to(DOCS / "errors").with_suffix("")) for page in ERRORS} == codes


@pytest.mark.parametrize("page", ERRORS, ids=lambda page: page.stem)
def test_page_of_an_error_has_its_code_meaning_and_next_step(page: Path) -> None:
    code = page.relative_to(DOCS / "errors").with_suffix("")
    assert re.fullmatch(
        rf"# {code}\n\nStatus \d{{3}}\.\n\n\*\*Meaning\.\*\* .+\n\n\*\*Next step\.\*\* .+\n", page.read_text()
    )


_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "s": 1, "": 1}
_LIMIT = re.compile(r"^\|[^|]+\| `IMGPROXY_(\w+)` \| (\d+) ?(KiB|MiB|GiB|s|)(?: \(any\))? \|", re.MULTILINE)
LIMITS = {name: int(number) * _UNITS[unit] for name, number, unit in _LIMIT.findall(SECURITY)}


@pytest.mark.parametrize("name", LIMITS)
def test_default_of_a_limit_in_security_is_the_settings_own(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"IMGPROXY_{name}", raising=False)
    assert getattr(Settings(), name.lower()) == LIMITS[name]


def test_security_has_every_limit() -> None:
    section = SECURITY.split("## Limits")[1].split("\n## ")[0]
    assert len(LIMITS) == section.count("| `IMGPROXY_")
    bounds = {name for name in variables() if re.search("_(MAX|MIN)_", name)}
    assert bounds <= {f"IMGPROXY_{name}" for name in LIMITS}
