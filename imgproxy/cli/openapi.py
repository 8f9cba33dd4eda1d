"""`imgproxy openapi`: what the files API promises."""

from __future__ import annotations

import argparse
import json

from imgproxy.api.openapi import document
from imgproxy.api.registry import GROUPS


def run(_asked: argparse.Namespace) -> int:
    """Print the document that /v1/openapi.json answers."""
    print(json.dumps(document(GROUPS), indent=2, ensure_ascii=False))
    return 0
