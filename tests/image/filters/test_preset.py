"""A preset's name is read here; the dialects open it."""

from __future__ import annotations

from imgproxy.image.filters.preset import PRESET
from imgproxy.image.options import Options
from tests.pictures import call, canonical, refusal


def test_a_name_is_decoded() -> None:
    assert call("preset(big%20one)").values == ("big one",)


def test_left_unopened_it_changes_nothing() -> None:
    assert PRESET.set is not None
    assert PRESET.set(Options(), "any") == Options()
    assert canonical("preset(any)") == ""


def test_a_name_is_there_and_has_at_most_64_characters() -> None:
    assert refusal("preset()").startswith("preset: the argument name")
    assert refusal(f"preset({'a' * 65})").startswith("preset: name: at most 64")
