"""The commands: what each is told, and how it ends. What it does is in the module of its name.

Whatever a person got wrong ends with one line on standard error and status 2; what failed, with status 1.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name

from imgproxy.cli.usage import UsageError
from imgproxy.errors import ImgproxyError, RequestError, with_cause
from imgproxy.masking import masked
from imgproxy.ports import CannotListen
from imgproxy.settings import SettingsError, seconds, variables

_MOST_EDGES = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the process's exit status."""
    asked = parser().parse_args(arguments)
    try:
        return _run(asked)
    except (RequestError, SettingsError, UsageError) as error:
        print(f"imgproxy: {masked(str(error))}", file=sys.stderr)
        return 2
    except ImgproxyError as error:
        print(f"imgproxy: {masked(with_cause(error))}", file=sys.stderr)
        return 1
    except CannotListen as error:
        print(f"imgproxy: {masked(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception:  # a defect, told as Python would but for the passwords of URLs
        print(masked(traceback.format_exc()), file=sys.stderr)
        return 1


def _run(asked: argparse.Namespace) -> int:
    # Imported now that it is known: those that need the server take 1.0 s of CPU, `sign` 0.3.
    return int(resolve_name(f"{__name__}.{asked.run}")(asked))


def parser() -> argparse.ArgumentParser:
    """The commands and their help."""
    top = argparse.ArgumentParser(
        prog="imgproxy",
        description="An image transformation CDN proxy: one URL in, one image out.",
        epilog="Settings come from the environment:\n"
        + "\n".join(f"  {name:32} {text}" for name, text in variables().items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {version('imgproxy')}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, "serve", "serve pictures over HTTP until told to stop")
    run.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    run.add_argument("--port", type=int, default=8080, help="port to listen on (default %(default)s)")
    run.add_argument(
        "--demo", action="store_true", help="draw some public pictures and show them on a page at /"
    )
    run.add_argument(
        "--edges",
        type=_edges,
        default=1,
        metavar="N",
        help="server processes, for machines where one is not enough: one serves thousands of images a "
        "second from memory. They share the port, the disk cache and purges; each has its share of "
        "IMGPROXY_WORKERS, IMGPROXY_QUEUE and IMGPROXY_MEMORY_BYTES. One that crashes or hangs is replaced "
        "(default %(default)s)",
    )
    edge = commands.add_parser("edge")  # no help: `serve --edges` starts it, and nobody else can
    edge.set_defaults(run="edge:run")
    edge.add_argument("--link", type=int, required=True)
    edge.add_argument("--listeners", type=_numbers, required=True)
    edge.add_argument("--index", type=int, required=True)
    edge.add_argument("--edges", type=int, required=True)
    edge.add_argument("--demo", nargs="+", default=[], metavar="KEY")
    sign = _command(commands, "sign", "print a signed URL path, by the first of IMGPROXY_SIGNING_SECRETS")
    sign.add_argument("path", help="what to sign, such as fit-in/300x200/photo.jpg")
    transform = _command(commands, "transform", "make one picture without a server")
    transform.add_argument("path", help="an image URL's path; its key is only a name here")
    transform.add_argument("--input", type=Path, required=True, help="the source image")
    transform.add_argument("--output", type=Path, required=True, help="where to write; replaced if it exists")
    purge = _command(commands, "purge", "have a running server forget originals and their results")
    purge.add_argument("keys", nargs="+", metavar="KEY", help="the source images' keys, as in their URLs")
    purge.add_argument(
        "--server", default="http://127.0.0.1:8080", help="where it listens (default %(default)s)"
    )
    _credentials(commands)
    _command(commands, "openapi", "print the files API as OpenAPI 3.1, as /v1/openapi.json does")
    swept = _command(commands, "sweep", "remove objects that no record names, tell of missing ones")
    swept.add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    _command(commands, "migrate", "bring the tables of IMGPROXY_DATABASE to this version")
    _command(commands, "doctor", "tell what this deployment has and lacks")
    return top


def _credentials(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands that make and end them."""
    key = commands.add_parser("key", help="make and end keys of the files API")
    keys = key.add_subparsers(required=True, metavar="ACTION")
    create = _command(keys, "create", "make a key and print it, this once", run="keys:create")
    create.add_argument("--kind", choices=["pk", "sk"], required=True, help="publishable, or secret")
    revoke = _command(keys, "revoke", "end a key; servers refuse it within seconds", run="keys:revoke")
    revoke.add_argument("id", help="as `key create` told it")
    for each in (create, revoke):
        each.add_argument("--tenant", default="default", help="whose it is (default %(default)s)")
    token = _command(
        commands, "token", "print a user's token signed by IMGPROXY_JWT_SECRET", run="keys:token"
    )
    token.add_argument("--sub", required=True, metavar="ID", help="the user")
    token.add_argument("--tenant", default="default", help="the user's tenant (default %(default)s)")
    token.add_argument("--role", help="the user's role")
    token.add_argument("--ttl", type=_duration, default="1h", help="how long it holds (default %(default)s)")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, *, run: str = ""
) -> argparse.ArgumentParser:
    """Add a command; `run` is its module and function, where that is not `run` in the module of its name."""
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(run=run or f"{name}:run")
    return command


def _edges(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_EDGES:
        raise argparse.ArgumentTypeError(f"a number from 1 to {_MOST_EDGES} is expected, not '{text}'")
    return int(text)


def _duration(text: str) -> int:
    try:
        return max(1, round(seconds(text)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))
