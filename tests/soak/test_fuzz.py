"""Each parser of what clients send is fuzzed for two minutes; `FUZZ_SECONDS` says otherwise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT
from tests.soak.conftest import Tell

SECONDS = int(os.environ.get("FUZZ_SECONDS", "120"))


@pytest.mark.soak
@pytest.mark.parametrize("name", ["url", "form", "token", "accept", "range", "cursor"])
def test_parser_survives_fuzzing(name: str, tmp_path: Path, tell: Tell) -> None:
    pytest.importorskip("atheris", reason="the extra `fuzz` is needed, which has wheels for x86-64 alone")
    corpus = tmp_path / "corpus"
    command = [sys.executable, "-m", "tests.soak.fuzz", name, str(corpus), f"-max_total_time={SECONDS}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
    )
    runs = re.findall(r"Done (\d+) runs", ended.stderr)
    tell(f"{name}: {runs[0] if runs else 'no'} runs, {len(list(corpus.iterdir()))} inputs worth keeping")
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert runs
