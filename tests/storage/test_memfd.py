"""What is counted is what is handed out, and nobody changes it afterwards."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from imgproxy.errors import SourceTooLarge
from imgproxy.storage import Head
from imgproxy.storage.memfd import Memfd

HEAD = Head(10, "version", 0.0)


def test_nobody_can_change_it_even_by_opening_it_anew() -> None:
    with closing(Memfd(limit=10)) as memfd:
        memfd.write(b"0123456789")
        original = memfd.finish(HEAD)
    with original:
        writing = os.open(f"/proc/self/fd/{original.descriptor}", os.O_RDWR)
        for attempt in (lambda: os.write(writing, b"x"), lambda: os.ftruncate(writing, 0)):
            with pytest.raises(PermissionError):
                attempt()
        os.close(writing)
        assert os.read(original.descriptor, 100) == b"0123456789"


def test_limit_is_counted_over_all_that_comes() -> None:
    with closing(Memfd(limit=10)) as memfd:
        memfd.write(b"01234")
        memfd.write(b"56789")
        with pytest.raises(SourceTooLarge, match="10 bytes"):
            memfd.write(b"x")
        assert memfd.size == 11


def test_it_is_not_inherited_by_other_programs() -> None:
    with closing(Memfd(limit=1)) as memfd, memfd.finish(HEAD) as original:
        assert not os.get_inheritable(memfd._descriptor)
        assert not os.get_inheritable(original.descriptor)
