"""`python -m bench`: every measurement there is, a line a figure, and all as JSON at the end."""

from __future__ import annotations

import json
import os
import platform
import sys

import pyvips

from bench import border, hits
from bench.load import NoWrk


def main() -> int:
    """Measure, and print what was seen."""
    vips = ".".join(str(pyvips.version(part)) for part in range(3))
    machine = {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version(), "libvips": vips}
    figures: dict[str, object] = {"machine": machine}
    for subject in (border, hits):
        try:
            found = subject.measure()
        except NoWrk as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        for name, values in found.items():
            print(
                f"{name}: " + ", ".join(f"{what} {value:.3g}" for what, value in values.items()), flush=True
            )
        figures |= found
    print(json.dumps(figures))
    return 0


sys.exit(main())
