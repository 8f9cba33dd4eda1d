"""`imgproxy doctor`: what this deployment has and lacks."""

from __future__ import annotations

import argparse

import uvloop

from imgproxy import doctor
from imgproxy.settings import read


def run(_asked: argparse.Namespace) -> int:
    """Print the findings; status 1 if any is a failure."""
    return uvloop.run(doctor.examine(read(), print))
