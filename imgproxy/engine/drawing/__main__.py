"""`python -m imgproxy.engine.drawing FOLDER`: draw the demo's pictures, print where they lie."""

from __future__ import annotations

import sys
from pathlib import Path

from imgproxy.engine.drawing import draw

if len(sys.argv) != 2:
    sys.exit("usage: python -m imgproxy.engine.drawing FOLDER")
for path in draw(Path(sys.argv[1])):
    print(path)
