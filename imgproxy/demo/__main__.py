"""`python -m imgproxy.demo FOLDER`: draw the images of the demo, print their paths."""

from __future__ import annotations

import sys
from pathlib import Path

from imgproxy.demo.drawing import draw

if len(sys.argv) != 2:
    sys.exit("usage: python -m imgproxy.demo FOLDER")
for path in draw(Path(sys.argv[1])):
    print(path)
