"""Sizes of the caches in memory: a table that is whole, and in proportion to `IMGPROXY_MEMORY_BYTES`."""

from __future__ import annotations

from dataclasses import asdict, fields

from imgproxy import cache_sizes
from imgproxy.cache_sizes import DEFAULT, CacheSizes
from imgproxy.settings import Settings


def test_cache_sizes_of_the_default_settings_are_the_default() -> None:
    assert Settings().cache_sizes == DEFAULT


def test_cache_sizes_grow_with_memory_and_keep_an_eighth() -> None:
    double, none = (asdict(cache_sizes.cache_sizes(size)) for size in (512 * 1024**2, 0))
    usual = asdict(DEFAULT)
    scaled = usual.keys() - {"source_files"}
    assert {name: double[name] for name in scaled} == {name: 2 * usual[name] for name in scaled}
    counts = scaled - {"results", "source_bytes"}
    assert {name: none[name] for name in counts} == {name: usual[name] // 8 for name in counts}


def test_cache_sizes_table_names_every_field() -> None:
    rows = [line.split("|")[1].strip() for line in (cache_sizes.__doc__ or "").splitlines() if "|" in line]
    assert rows[2:] == [field.name for field in fields(CacheSizes)]
