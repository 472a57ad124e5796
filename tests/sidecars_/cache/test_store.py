from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.cache.entry import Entry, encode_entry
from llmops_sidecars.cache.store import OVERHEAD_BYTES, Eviction, Remembered, Store
from tests.sidecars_.cache.kit import Clock


def entry(key: str, text: str = "text") -> Entry:
    return Entry(key, "chat", 1, text, "stop")


SIZE = len(encode_entry(entry("a"))) + OVERHEAD_BYTES


class Shelf:
    """A store with what it needs."""

    def __init__(self, max_bytes: int, jitter: float = 0.0) -> None:
        self.clock = Clock()
        self.evicted: Counter[Eviction] = Counter()
        self.store = Store(self.clock, lambda reason: self.evicted.update([reason]), lambda: jitter)
        self.store.resize(max_bytes)

    def put(self, *keys: str, ttl: float = 10.0) -> None:
        for key in keys:
            assert self.store.put(entry(key), ttl)

    def has(self, key: str, ttl: float = 10.0) -> bool:
        return self.store.get(key, ttl) is not None


def test_an_entry_is_found_again() -> None:
    shelf = Shelf(10 * SIZE)
    shelf.put("a")
    assert shelf.store.get("a", 10) == Remembered(entry("a"), 0.0)
    assert not shelf.has("b")


def test_the_least_recently_used_goes_first() -> None:
    shelf = Shelf(3 * SIZE)
    shelf.put("a", "b", "c")
    assert shelf.has("a")
    shelf.put("d")
    assert [key for key in "abcd" if shelf.has(key)] == ["a", "c", "d"]
    assert shelf.evicted == {Eviction.SPACE: 1}


def test_what_is_larger_than_the_bound_is_not_kept_and_drives_nothing_out() -> None:
    shelf = Shelf(2 * SIZE)
    shelf.put("a")
    assert not shelf.store.put(entry("b", "x" * 5000), 10)
    assert shelf.has("a")


def test_a_newer_entry_takes_the_place_of_an_older_one() -> None:
    shelf = Shelf(10 * SIZE)
    shelf.put("a")
    shelf.store.put(entry("a", "newer"), 10)
    found = shelf.store.get("a", 10)
    assert found is not None
    assert found.entry.text == "newer"
    assert len(shelf.store) == 1
    assert not shelf.evicted


def test_a_smaller_bound_holds_at_once() -> None:
    shelf = Shelf(3 * SIZE)
    shelf.put("a", "b", "c")
    shelf.store.resize(SIZE)
    assert [key for key in "abc" if shelf.has(key)] == ["c"]
    shelf.store.resize(0)
    assert (len(shelf.store), shelf.store.bytes) == (0, 0)


@pytest.mark.parametrize(
    ("jitter", "age", "found"),
    [(0.0, 9.9, True), (0.0, 10.0, False), (1.0, 8.9, True), (1.0, 9.0, False)],
    ids=["just-before", "at-the-end", "jittered-before", "jittered-end"],
)
def test_an_entry_expires(jitter: float, age: float, found: bool) -> None:  # noqa: FBT001 - a column
    shelf = Shelf(10 * SIZE, jitter)
    shelf.put("a")
    shelf.clock.now += age
    assert shelf.has("a") is found
    assert shelf.evicted[Eviction.EXPIRED] == (0 if found else 1)


def test_a_shorter_lifetime_holds_for_older_entries() -> None:
    shelf = Shelf(10 * SIZE)
    shelf.put("a", ttl=1000)
    shelf.clock.now += 6
    assert shelf.has("a", ttl=7)
    assert not shelf.has("a", ttl=5)


def test_a_longer_lifetime_does_not_bring_older_entries_back() -> None:
    shelf = Shelf(10 * SIZE)
    shelf.put("a", ttl=5)
    shelf.clock.now += 6
    assert not shelf.has("a", ttl=1000)


def test_expired_entries_leave_although_nobody_asks_for_them() -> None:
    shelf = Shelf(10 * SIZE)
    shelf.put("a", "b")
    shelf.clock.now += 11
    shelf.put("c")
    assert len(shelf.store) == 1


def test_a_damaged_entry_is_a_miss_and_goes() -> None:
    shelf = Shelf(10 * SIZE)
    shelf.put("a", "b")
    shelf.store._items["a"] = shelf.store._items["b"]
    assert not shelf.has("a")
    assert len(shelf.store) == 1
    assert shelf.evicted == {Eviction.DAMAGED: 1}


@given(
    st.integers(0, 5000),
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.text(max_size=900), st.floats(0, 5)), max_size=40),
)
def test_the_bound_always_holds(max_bytes: int, puts: list[tuple[str, str, float]]) -> None:
    shelf = Shelf(max_bytes)
    for key, text, pause in puts:
        shelf.clock.now += pause
        kept = shelf.store.put(entry(key, text), 10)
        assert shelf.store.bytes == sum(item.size for item in shelf.store._items.values()) <= max_bytes
        assert shelf.has(key) is kept
