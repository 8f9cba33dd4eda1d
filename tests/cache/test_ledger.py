"""The account of a folder agrees with what it was told, and gives out the least recently used first."""

from __future__ import annotations

from imgproxy.cache.ledger import SAME_USE, Ledger, Seen, whole_blocks


def seen(name: str, size: int = 4096, used: int = 0) -> Seen:
    return Seen(name, size, used)


def names(ledger: Ledger) -> list[str]:
    """Take out everything, in the order of its going."""
    taken = []
    while oldest := ledger.oldest():
        taken.append(oldest[0])
    return taken


def test_files_take_whole_blocks() -> None:
    assert [whole_blocks(size) for size in (0, 1, 4096, 4097)] == [0, 4096, 4096, 8192]


def test_what_was_added_is_counted_once() -> None:
    ledger = Ledger()
    ledger.add(seen("aa/1", 1))
    ledger.add(seen("aa/1", 5000))
    ledger.add(seen("bb/2", 1))
    assert (ledger.bytes, ledger.files) == (8192 + 4096, 2)


def test_what_was_forgotten_is_not_counted() -> None:
    ledger = Ledger()
    ledger.add(seen("aa/1"))
    ledger.forget("aa/1")
    ledger.forget("aa/1")
    assert (ledger.bytes, ledger.files, ledger.oldest()) == (0, 0, None)


def test_the_least_recently_used_goes_first() -> None:
    ledger = Ledger()
    for name in ("aa/1", "aa/2", "aa/3"):
        ledger.add(seen(name))
    ledger.touch("aa/1", now=1)
    ledger.touch("unknown", now=1)
    assert names(ledger) == ["aa/2", "aa/3", "aa/1"]
    assert (ledger.bytes, ledger.files) == (0, 0)


def test_a_folder_is_loaded_in_order_of_use() -> None:
    ledger = Ledger()
    ledger.load([seen("aa/1", used=3), seen("bb/2", used=1), seen("cc/3", used=2)])
    assert names(ledger) == ["bb/2", "cc/3", "aa/1"]


def test_a_visit_corrects_one_part_and_leaves_the_others() -> None:
    ledger = Ledger()
    ledger.load([seen("aa/1"), seen("aa/2"), seen("bb/3")])
    ledger.reconcile("aa", [seen("aa/2"), seen("aa/4", 10_000)])
    assert (ledger.bytes, ledger.files) == (2 * 4096 + 12_288, 3)
    assert names(ledger) == ["aa/2", "bb/3", "aa/4"]


def test_what_others_have_used_is_kept_longer() -> None:
    ledger = Ledger()
    ledger.load([seen("aa/1", used=1), seen("aa/2", used=2)])
    ledger.reconcile("aa", [seen("aa/1", used=SAME_USE + 2), seen("aa/2", used=2)])
    assert names(ledger) == ["aa/2", "aa/1"]


def test_our_own_uses_are_not_forgotten_by_a_visit() -> None:
    ledger = Ledger()
    ledger.load([seen("aa/1", used=1), seen("aa/2", used=2)])
    ledger.touch("aa/1", now=5)
    ledger.reconcile("aa", [seen("aa/1", used=1), seen("aa/2", used=2)])
    assert names(ledger) == ["aa/2", "aa/1"]
