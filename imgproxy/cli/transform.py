"""`imgproxy transform`: one picture as the server would make it, without the server."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path

import uvloop

from imgproxy import app
from imgproxy.cli.usage import UsageError
from imgproxy.dialects import ImageRequest
from imgproxy.engine.worker_protocol import Job
from imgproxy.image.negotiate import negotiate
from imgproxy.image.source import PlainColour
from imgproxy.settings import Settings, read


def run(asked: argparse.Namespace) -> int:
    """Write the picture, whole or not at all."""
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
    plain = request.source.colour if isinstance(request.source, PlainColour) else None
    job = Job(
        transform=request.transform,
        output=negotiate(request.transform.options.format, None, automatic=()),
        encoding=recipe.encoding,
        ceiling=recipe.ceiling,
        plain=plain,
        meta=request.answer == "meta",
        show_damaged=recipe.damaged_seconds is not None,
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
