"""Every command is in the help and has somebody who does it; none loads what it does not need."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name

import pytest

from imgproxy.cli import parser
from tests.cli.program import ROOT, run

SERVER = ("aiohttp", "alembic", "botocore", "sqlalchemy", "uvloop")


def runs(of: argparse.ArgumentParser) -> Iterator[str]:
    """Who does what is asked, of every command below."""
    if of.get_default("run"):
        yield of.get_default("run")
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from runs(each)


def test_help_lists_every_command_and_setting(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    assert all(word in done.stdout for word in ("serve", "sign", "transform", "doctor", "IMGPROXY_STORAGE"))


def test_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout == f"imgproxy {version('imgproxy')}\n"


@pytest.mark.parametrize("name", [*runs(parser())])
def test_every_command_is_done_by_a_function(name: str) -> None:
    assert callable(resolve_name(f"imgproxy.cli.{name}"))


def test_every_module_is_of_a_command() -> None:
    modules = {path.stem for path in (ROOT / "imgproxy" / "cli").glob("*.py")}
    assert modules - {"__init__", "usage"} == {name.partition(":")[0] for name in runs(parser())}


def test_signing_loads_nothing_of_the_server(tmp_path: Path) -> None:
    program = (
        "import json, sys; from imgproxy.cli import main; main(['sign', 'photo.jpg']); "
        "print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "IMGPROXY_SIGNING_SECRETS": "a-long-enough-secret"},
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert loaded.intersection(SERVER) == set()
