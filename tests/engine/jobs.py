"""A job for workers that make no pictures: what they are to do is in the source image's bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from imgproxy.engine.worker_protocol import Encoding, Job
from imgproxy.image.formats import Format
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Ceiling
from imgproxy.image.transform import Transform

JOB = Job(Transform(), Output((Format.JPEG,)), Encoding(), Ceiling(1_000_000, 10, 8192))


@contextmanager
def original(text: str) -> Iterator[int]:
    """A descriptor of a file that says `text`."""
    descriptor = os.memfd_create("original", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
        yield descriptor
    finally:
        os.close(descriptor)
