"""`imgproxy sweep`: hold storage against the record."""

from __future__ import annotations

import argparse
import sys

import uvloop

from imgproxy import sweeping
from imgproxy.settings import read


def run(asked: argparse.Namespace) -> int:
    """Sweep and tell; status 1 says that bytes are missing."""
    found = uvloop.run(sweeping.sweep(read(), dry=asked.dry_run, say=_say))
    for line in sweeping.told(found, dry=asked.dry_run):
        print(line)
    return 1 if found.missing else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)
