"""Keys that are the store's own."""

from __future__ import annotations

import pytest

from imgproxy.errors import NotFound
from imgproxy.storage import HIDDEN_PREFIXES, is_hidden, require_visible


@pytest.mark.parametrize(
    "key",
    [".a", ".uploads/1/0001.part", "a/.b", "a/.b/c", ".well-known/a.jpg", "lost+found/a", "@eaDir/a/b.jpg"],
)
def test_is_hidden_knows_dots_and_the_default_prefixes(key: str) -> None:
    assert is_hidden(key, HIDDEN_PREFIXES)
    with pytest.raises(NotFound):
        require_visible(key, HIDDEN_PREFIXES)


@pytest.mark.parametrize(
    "key", ["a.", "a.b/c", "lost+found", "a/lost+found/b", "files/.acme/1", "staging/.a/1"]
)
def test_is_hidden_leaves_everything_else(key: str) -> None:
    assert not is_hidden(key, HIDDEN_PREFIXES)


def test_hidden_prefixes_are_the_deployments_and_dots_are_hidden_always() -> None:
    keys = ("lost+found/a", "private/a", "privateer/a", ".a")
    assert [key for key in keys if is_hidden(key, ("private/",))] == ["private/a", ".a"]
