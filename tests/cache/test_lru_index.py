"""The account of a folder agrees with what it was told, and gives out the least recently used first."""

from __future__ import annotations

from imgproxy.cache.lru_index import SAME_USE, LruIndex, ResultFile, in_blocks


def file(name: str, size: int = 4096, used: int = 0) -> ResultFile:
    return ResultFile(name, size, used)


def names(index: LruIndex) -> list[str]:
    """Take out everything, in the order of its going."""
    taken = []
    while oldest := index.pop_oldest():
        taken.append(oldest[0])
    return taken


def test_files_take_in_blocks() -> None:
    assert [in_blocks(size) for size in (0, 1, 4096, 4097)] == [0, 4096, 4096, 8192]


def test_what_was_added_is_counted_once() -> None:
    index = LruIndex()
    index.add(file("aa1", 1))
    index.add(file("aa1", 5000))
    index.add(file("bb2", 1))
    assert (index.bytes, len(index)) == (8192 + 4096, 2)


def test_the_least_recently_used_goes_first() -> None:
    index = LruIndex()
    for name in ("aa1", "aa2", "aa3"):
        index.add(file(name))
    index.touch("aa1", now=1)
    index.touch("unknown", now=1)
    assert names(index) == ["aa2", "aa3", "aa1"]
    assert (index.bytes, len(index)) == (0, 0)


def test_a_folder_is_loaded_in_order_of_use() -> None:
    index = LruIndex()
    index.load([[file("aa2", used=2), file("aa1", used=3)], [file("bb2", used=1)], []])
    assert names(index) == ["bb2", "aa2", "aa1"]


def test_a_visit_corrects_one_part_and_leaves_the_others() -> None:
    index = LruIndex()
    index.load([[file("aa1"), file("aa2")], [file("bb3")]])
    index.reconcile("aa", [file("aa2"), file("aa4", 10_000)])
    assert (index.bytes, len(index)) == (2 * 4096 + 12_288, 3)
    assert names(index) == ["aa2", "bb3", "aa4"]


def test_what_others_have_used_is_kept_longer() -> None:
    index = LruIndex()
    index.load([[file("aa1", used=1), file("aa2", used=2)]])
    index.reconcile("aa", [file("aa1", used=SAME_USE + 2), file("aa2", used=2)])
    assert names(index) == ["aa2", "aa1"]


def test_our_own_uses_are_not_forgotten_by_a_visit() -> None:
    index = LruIndex()
    index.load([[file("aa1", used=1), file("aa2", used=2)]])
    index.touch("aa1", now=5)
    index.reconcile("aa", [file("aa1", used=1), file("aa2", used=2)])
    assert names(index) == ["aa2", "aa1"]
