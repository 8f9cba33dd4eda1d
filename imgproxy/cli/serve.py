"""`imgproxy serve`: a server, with drawn images to show if `--demo` is given."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from secrets import token_urlsafe

import uvloop

from imgproxy import doctor, serve
from imgproxy.cli.keys import create_key
from imgproxy.cli.usage import UsageError
from imgproxy.demo import page as demo_page
from imgproxy.demo import registration
from imgproxy.settings import Settings, read
from imgproxy.storage.local import LocalOptions
from imgproxy.storage.memory import MemoryOptions
from imgproxy.telemetry import log_to_stderr

_log = logging.getLogger(__name__)

_DEMO_PRESETS = "card=fit-in/300x200/filters:quality(80);face=160x160/smart"


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    generated = "" if os.environ.get("IMGPROXY_JWT_SECRET") else token_urlsafe(32)
    if args.demo:
        os.environ.setdefault("IMGPROXY_PRESETS", _DEMO_PRESETS)
        os.environ["IMGPROXY_JWT_SECRET"] = generated or os.environ["IMGPROXY_JWT_SECRET"]
    settings = read()
    if args.edges > 1 and isinstance(settings.storage, MemoryOptions):
        raise UsageError("--edges needs a storage that processes can share: IMGPROXY_STORAGE is memory://")
    log_to_stderr()
    for finding in doctor.weaknesses(settings):
        _log.warning("%s: %s", finding.subject, finding.text)
    keys = _draw(settings) if args.demo else []
    lines = uvloop.run(_register_demo(settings, keys, generated)) if args.demo else []
    base = f"http://{args.host}:{args.port}"

    def announce() -> None:
        for caption, url in demo_page.urls(base, keys) if keys else ():
            print(f"{caption:16} {url}")
        for line in lines:
            print(line)
        print(f"imgproxy listens on {base}{'/' if keys else ''}", flush=True)

    if args.edges == 1:
        serving = serve.run(
            settings,
            host=args.host,
            port=args.port,
            pages=demo_page.pages(keys),
            announce=announce,
        )
    else:
        os.environ["IMGPROXY_SECRET"] = settings.secret  # each process accepts URLs signed by the others
        serving = serve.run_edges(
            settings,
            host=args.host,
            port=args.port,
            edges=args.edges,
            arguments=["--demo", *keys] if keys else [],
            announce=announce,
        )
    uvloop.run(serving)
    return 0


async def _register_demo(settings: Settings, keys: Sequence[str], jwt_secret: str) -> list[str]:
    """Register the demo's images as public files; return lines on how to call the files API.

    `jwt_secret` is a generated one, which is shown; one from the environment is not.
    """
    await registration.register_images(settings, keys)
    publishable, _ = await create_key(settings, "pk", registration.TENANT)
    secret, _ = await create_key(settings, "sk", registration.TENANT)
    return [
        f"{'publishable key':16} {publishable}",
        f"{'secret key':16} {secret}",
        f"{'token of a user':16} {f'IMGPROXY_JWT_SECRET={jwt_secret} ' if jwt_secret else ''}"
        f"{_own_name()} token --sub ann --tenant {registration.TENANT}",
    ]


def _own_name() -> str:
    """Return the command that started this program."""
    return "python -m imgproxy" if sys.argv[0].endswith("__main__.py") else sys.argv[0]


def _draw(settings: Settings) -> list[str]:
    """Draw the demo's images in a child process, because this one loads no libvips; return their keys."""
    if not isinstance(settings.storage, LocalOptions):
        raise UsageError("--demo needs a folder to draw into: leave IMGPROXY_STORAGE unset, or file://DIR")
    root = settings.storage.root
    command = [sys.executable, "-m", "imgproxy.demo", str(root)]
    drawn = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  our own arguments
    return [str(Path(line).relative_to(root)) for line in drawn.stdout.splitlines()]
