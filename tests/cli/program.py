"""The program, run as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    named = {f"IMGPROXY_{name}": value for name, value in environment.items()}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IMGPROXY_")}
    return subprocess.run(
        [sys.executable, "-m", "imgproxy", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**clean, **named, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
