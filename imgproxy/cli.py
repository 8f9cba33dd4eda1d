"""The commands; each parses, calls, prints.

Whatever a person got wrong ends with one line on standard error and status 2; what failed, with status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import token_urlsafe
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import uvloop

from imgproxy import app, credentials, doctor, exhibit, serve, sweeping
from imgproxy.api.groups import GROUPS
from imgproxy.api.openapi import document
from imgproxy.console import demo
from imgproxy.dialects import ImageRequest
from imgproxy.edge.purge import path_of
from imgproxy.engine.protocol import Job
from imgproxy.errors import ImgproxyError
from imgproxy.files import migrations
from imgproxy.files.database import open_database
from imgproxy.files.model import TenantId
from imgproxy.image.negotiate import negotiate
from imgproxy.image.source import Plain, parse_key
from imgproxy.settings import Settings, SettingsError, read, seconds, variables
from imgproxy.storage.address import LocalAddress, MemoryAddress
from imgproxy.telemetry import log_to_stderr

_DEMO_PRESETS = "card=fit-in/300x200/filters:quality(80);face=160x160/smart"
_PURGE_SECONDS = 30
_MOST_EDGES = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the process's exit status."""
    asked = parser().parse_args(arguments)
    try:
        return int(asked.run(asked))
    except (SettingsError, UsageError) as error:
        print(f"imgproxy: {error}", file=sys.stderr)
        return 2
    except (ImgproxyError, serve.CannotListen) as error:
        print(f"imgproxy: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


class UsageError(Exception):
    """What was asked for cannot be; one line says why."""


def parser() -> argparse.ArgumentParser:
    """The commands and their help."""
    top = argparse.ArgumentParser(
        prog="imgproxy",
        description="An image transformation CDN proxy: one URL in, one picture out.",
        epilog="Settings come from the environment:\n"
        + "\n".join(f"  {name:32} {text}" for name, text in variables().items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, "serve", _serve, "serve pictures over HTTP until told to stop")
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
        help="processes that answer requests, for machines where one is not enough: one gives thousands of "
        "pictures a second from memory. They share the port, IMGPROXY_WORKERS, the cache on disk, purges, "
        "and pictures under way; each has its part of IMGPROXY_MEMORY_BYTES. One that crashes or hangs is "
        "replaced (default %(default)s)",
    )
    edge = commands.add_parser("edge")  # no help: `serve --edges` starts it, and nobody else can
    edge.set_defaults(run=_edge)
    edge.add_argument("--channel", type=int, required=True)
    edge.add_argument("--listeners", type=_numbers, required=True)
    edge.add_argument("--edges", type=int, required=True)
    edge.add_argument("--demo", nargs="+", default=[], metavar="KEY")
    sign = _command(
        commands, "sign", _sign, "print a signed URL path, by the first of IMGPROXY_SIGNING_SECRETS"
    )
    sign.add_argument("path", help="what to sign, such as fit-in/300x200/photo.jpg")
    transform = _command(commands, "transform", _transform, "make one picture without a server")
    transform.add_argument("path", help="an image URL's path; its key is only a name here")
    transform.add_argument("--input", type=Path, required=True, help="the original")
    transform.add_argument("--output", type=Path, required=True, help="where to write; replaced if it exists")
    purge = _command(commands, "purge", _purge, "have a running server forget originals and their results")
    purge.add_argument("keys", nargs="+", metavar="KEY", help="the originals' keys, as in their URLs")
    purge.add_argument(
        "--server", default="http://127.0.0.1:8080", help="where it listens (default %(default)s)"
    )
    _credentials(commands)
    _command(commands, "openapi", _openapi, "print the files API as OpenAPI 3.1, as /v1/openapi.json does")
    swept = _command(commands, "sweep", _sweep, "remove objects that no record names, tell of missing ones")
    swept.add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    _command(commands, "migrate", _migrate, "bring the tables of IMGPROXY_DATABASE to this version")
    _command(commands, "doctor", _doctor, "tell what this deployment has and lacks")
    return top


def _credentials(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands that make and end them."""
    key = commands.add_parser("key", help="make and end keys of the files API")
    keys = key.add_subparsers(required=True, metavar="ACTION")
    create = _command(keys, "create", _create_key, "make a key and print it, this once")
    create.add_argument("--kind", choices=["pk", "sk"], required=True, help="publishable, or secret")
    revoke = _command(keys, "revoke", _revoke_key, "end a key; servers refuse it within seconds")
    revoke.add_argument("id", help="as `key create` told it")
    for each in (create, revoke):
        each.add_argument("--tenant", default="default", help="whose it is (default %(default)s)")
    token = _command(commands, "token", _token, "print a user's token, signed by IMGPROXY_JWT_SECRET")
    token.add_argument("--sub", required=True, metavar="ID", help="the user")
    token.add_argument("--tenant", help="the tenant, where no key tells it")
    token.add_argument("--role", help="the user's role")
    token.add_argument("--ttl", type=_duration, default="1h", help="how long it holds (default %(default)s)")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(run=run)
    return command


def _serve(asked: argparse.Namespace) -> int:
    drawn = "" if os.environ.get("IMGPROXY_JWT_SECRET") else token_urlsafe(32)
    if asked.demo:
        os.environ.setdefault("IMGPROXY_PRESETS", _DEMO_PRESETS)
        os.environ["IMGPROXY_JWT_SECRET"] = drawn or os.environ["IMGPROXY_JWT_SECRET"]
    settings = read()
    if asked.edges > 1 and isinstance(settings.storage, MemoryAddress):
        raise UsageError("--edges needs a storage that processes can share: IMGPROXY_STORAGE is memory://")
    log_to_stderr()
    keys = _draw(settings) if asked.demo else []
    words = uvloop.run(_exhibit(settings, keys, drawn)) if asked.demo else []
    base = f"http://{asked.host}:{asked.port}"

    def announce() -> None:
        for caption, url in demo.urls(base, keys) if keys else ():
            print(f"{caption:16} {url}")
        for line in words:
            print(line)
        print(f"imgproxy listens on {base}{'/' if keys else ''}", flush=True)

    if asked.edges == 1:
        serving = serve.run(
            settings,
            host=asked.host,
            port=asked.port,
            pages=demo.pages(keys),
            announce=announce,
        )
    else:
        os.environ["IMGPROXY_SECRET"] = settings.secret  # edges honour one another's URLs
        serving = serve.run_edges(
            settings,
            host=asked.host,
            port=asked.port,
            edges=asked.edges,
            arguments=["--demo", *keys] if keys else [],
            announce=announce,
        )
    uvloop.run(serving)
    return 0


def _edge(asked: argparse.Namespace) -> int:
    """One of the processes that `serve --edges` starts."""
    log_to_stderr()
    seat = serve.Seat(asked.channel, asked.listeners, asked.edges)
    uvloop.run(serve.run_edge(read(), seat, pages=demo.pages(asked.demo)))
    return 0


async def _exhibit(settings: Settings, keys: Sequence[str], jwt_secret: str) -> list[str]:
    """Make the demo's pictures public files; return how to call the files API.

    `jwt_secret` is one that nobody knows yet; one that was given is not shown.
    """
    await exhibit.exhibit(settings, keys)
    publishable, _ = await credentials.create_key(settings, "pk", exhibit.TENANT)
    secret, _ = await credentials.create_key(settings, "sk", exhibit.TENANT)
    return [
        f"{'publishable key':16} {publishable}",
        f"{'secret key':16} {secret}",
        f"{'token of a user':16} {f'IMGPROXY_JWT_SECRET={jwt_secret} ' if jwt_secret else ''}"
        f"{_own_name()} token --sub ann --tenant {exhibit.TENANT}",
    ]


def _own_name() -> str:
    """How a person has started this program."""
    return "python -m imgproxy" if sys.argv[0].endswith("__main__.py") else sys.argv[0]


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


def _draw(settings: Settings) -> list[str]:
    """Have the demo's pictures drawn, in a child process: this one makes no pixels."""
    if not isinstance(settings.storage, LocalAddress):
        raise UsageError("--demo needs a folder to draw into: leave IMGPROXY_STORAGE unset, or file://DIR")
    root = settings.storage.root
    command = [sys.executable, "-m", "imgproxy.engine.drawing", str(root)]
    drawn = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  our own words
    return [str(Path(line).relative_to(root)) for line in drawn.stdout.splitlines()]


def _create_key(asked: argparse.Namespace) -> int:
    key, id_ = uvloop.run(credentials.create_key(read(), asked.kind, TenantId(asked.tenant)))
    print(key)
    print(f"its id is {id_}; the key itself is not kept anywhere: copy it now", file=sys.stderr)
    return 0


def _revoke_key(asked: argparse.Namespace) -> int:
    if not uvloop.run(credentials.revoke_key(read(), asked.id, TenantId(asked.tenant))):
        raise UsageError(f"{asked.tenant} has no key '{asked.id}' that is not revoked")
    print(f"revoked {asked.id}")
    return 0


def _token(asked: argparse.Namespace) -> int:
    print(
        credentials.make_token(
            read(), user=asked.sub, seconds=asked.ttl, tenant=asked.tenant, role=asked.role
        )
    )
    return 0


def _openapi(_asked: argparse.Namespace) -> int:
    print(json.dumps(document(GROUPS), indent=2, ensure_ascii=False))
    return 0


def _sign(asked: argparse.Namespace) -> int:
    signer = read().signer
    if signer is None:
        raise UsageError("IMGPROXY_SIGNING_SECRETS holds no secret to sign with")
    path = asked.path.removeprefix("/").removeprefix("unsafe/")
    print(f"/{signer.sign(path)}/{path}")
    return 0


def _transform(asked: argparse.Namespace) -> int:
    settings = read()
    request = settings.grammar.read("/" + asked.path.removeprefix("/"))
    if request.keys:
        raise UsageError(f"there is no storage here to fetch '{request.keys[0]}' from")
    if not asked.input.is_file():
        raise UsageError(f"--input {asked.input}: there is no such file")
    body = uvloop.run(_made(settings, request, asked.input))
    unfinished = asked.output.with_name(f".{asked.output.name}.part")
    unfinished.write_bytes(body)
    unfinished.replace(asked.output)
    return 0


async def _made(settings: Settings, request: ImageRequest, path: Path) -> bytes:
    """One picture by one worker, as the server would make it."""
    recipe = app.recipe(settings)
    plain = request.source.colour if isinstance(request.source, Plain) else None
    job = Job(
        transform=request.transform,
        output=negotiate(request.transform.options.format, None, automatic=()),
        encoding=recipe.encoding,
        ceiling=recipe.ceiling,
        plain=plain,
        meta=request.answer == "meta",
    )
    pool = app.make_pool(settings, size=1, spare=0)
    await pool.start()
    descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        result = await pool.run(job, None if plain else descriptor)
    finally:
        os.close(descriptor)
        await pool.close()
    return json.dumps(result.rendered.info).encode() if job.meta else result.body


def _purge(asked: argparse.Namespace) -> int:
    """Ask the server, which alone can forget what it has in memory."""
    secret = read().purge_secret
    if not secret:
        raise UsageError("IMGPROXY_PURGE_SECRET holds no secret; the server must have the same")
    for name in asked.keys:
        request = Request(  # noqa: S310  the operator's own server
            asked.server.rstrip("/") + path_of(parse_key(name)),
            method="PURGE",
            headers={"Authorization": f"Bearer {secret}"},
        )
        try:
            with urlopen(request, timeout=_PURGE_SECONDS):  # noqa: S310
                print(f"purged {name}")
        except HTTPError as error:
            raise UsageError(f"{asked.server} answers {error.code} to the purge of '{name}'") from error
        except OSError as error:
            raise UsageError(f"{asked.server} cannot be reached: {error}") from error
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _sweep(asked: argparse.Namespace) -> int:
    """Status 1 says that bytes are missing."""
    found = uvloop.run(sweeping.sweep(read(), dry=asked.dry_run, say=_say))
    for line in sweeping.told(found, dry=asked.dry_run):
        print(line)
    return 1 if found.missing else 0


def _migrate(_asked: argparse.Namespace) -> int:
    address = read().database

    async def migrate() -> None:
        database = await open_database(address)
        try:
            await database.migrate()
        finally:
            await database.close()

    uvloop.run(migrate())
    print(f"the record of files is at version {migrations.newest()}")
    return 0


def _doctor(_asked: argparse.Namespace) -> int:
    return uvloop.run(doctor.examine(read(), print))
