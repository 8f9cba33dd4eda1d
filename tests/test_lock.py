"""The locks of what the image installs hold what pyproject.toml asks for, each version with its hashes."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires, version
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.dockerfile import ROOT, only, stages

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
Lock = dict[str, tuple[Version, list[str]]]
"""Version and hashes by name."""

OLDEST = PROJECT["project"]["requires-python"].removeprefix(">=")
IMAGE = only(stages()["build"], "FROM").text.partition(":")[2].partition("-")[0]


def environment(python: str) -> dict[str, str]:
    """Markers as a Python of this version reads them in the image."""
    versions = {"python_version": python, "python_full_version": f"{python}.0"}
    return {**{name: str(value) for name, value in default_environment().items()}, **versions, "extra": ""}


def locked(name: str, python: str = IMAGE) -> Lock:
    """What a lock has for a Python."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE).replace("\\\n", "")
    found = {}
    for line in text.splitlines():
        requirement, *hashes = line.split(" --hash=")
        pinned = Requirement(requirement.strip())
        (exact,) = pinned.specifier
        assert exact.operator == "=="
        if pinned.marker is None or pinned.marker.evaluate(environment(python)):
            name = canonicalize_name(pinned.name)
            assert name not in found
            found[name] = (Version(exact.version), [each.strip() for each in hashes])
    return found


def unmet(texts: list[str], lock: Lock, python: str, extras: frozenset[str] = frozenset()) -> list[str]:
    """The requirements that hold in the image and that a lock does not meet."""
    found = []
    for text in texts:
        wanted = Requirement(text)
        environments = [{**environment(python), "extra": each} for each in extras | {""}]
        if wanted.marker and not any(wanted.marker.evaluate(each) for each in environments):
            continue
        pinned = lock.get(canonicalize_name(wanted.name))
        if pinned is None or pinned[0] not in wanted.specifier:
            found.append(text)
    return found


pythons = pytest.mark.parametrize("python", sorted({OLDEST, IMAGE}))


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-build.lock"])
def test_lock_names_sha256_of_every_version(name: str) -> None:
    for hashes in (each[1] for each in locked(name).values()):
        assert hashes
        assert [each for each in hashes if not re.fullmatch("sha256:[0-9a-f]{64}", each)] == []


@pythons
def test_lock_meets_every_range_of_pyproject(python: str) -> None:
    assert unmet(PROJECT["project"]["dependencies"], locked("requirements.lock", python), python) == []


@pythons
def test_build_lock_meets_what_builds_the_project(python: str) -> None:
    lock = locked("requirements-build.lock", python)
    assert unmet(PROJECT["dependency-groups"]["build"], lock, python) == []
    assert unmet(PROJECT["build-system"]["requires"], lock, python) == []


@pythons
def test_lock_meets_what_its_packages_require(python: str) -> None:
    lock = locked("requirements.lock", python)
    extras = frozenset().union(*(Requirement(text).extras for text in PROJECT["project"]["dependencies"]))
    missing = {}
    for name, (locked_version, _) in lock.items():
        if Version(version(name)) == locked_version:  # else another version's requirements would be read
            missing[name] = unmet(requires(name) or [], lock, python, extras)
    assert missing
    assert {name: texts for name, texts in missing.items() if texts} == {}


def test_locks_share_versions_of_what_is_in_both() -> None:
    runtime, build = locked("requirements.lock"), locked("requirements-build.lock")
    both = runtime.keys() & build.keys()
    assert {name: runtime[name] for name in both} == {name: build[name] for name in both}
