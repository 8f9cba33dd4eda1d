"""`imgproxy edge`: one of the processes that `serve --edges` starts."""

from __future__ import annotations

import argparse

import uvloop

from imgproxy import serve
from imgproxy.demo import page as demo_page
from imgproxy.settings import read
from imgproxy.telemetry import log_to_stderr


def run(args: argparse.Namespace) -> int:
    """Serve on the sockets of the supervisor until it sends a signal or ends."""
    log_to_stderr()
    own = serve.EdgeArguments(args.link, args.listeners, args.index, args.edges)
    uvloop.run(serve.run_edge(read(), own, pages=demo_page.pages(args.demo)))
    return 0
