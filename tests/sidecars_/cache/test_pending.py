from __future__ import annotations

import pytest

from llmops_sidecars.cache.entry import Entry
from llmops_sidecars.cache.pending import MAX_ANSWERS, MAX_CHARACTERS, WAIT_SECONDS, Candidate, Pending
from tests.sidecars_.cache.kit import Clock


def candidate(text: str = "text") -> Candidate:
    return Candidate(Entry("key", "chat", 1, text, "stop"), 60.0)


def test_a_candidate_is_taken_once() -> None:
    waiting = Pending(Clock())
    waiting.add("r1", candidate())
    assert waiting.take("r1") == candidate()
    assert waiting.take("r1") is None


def test_a_late_commit_finds_nothing() -> None:
    clock = Clock()
    waiting = Pending(clock)
    waiting.add("r1", candidate())
    clock.now += WAIT_SECONDS
    assert waiting.take("r1") is None
    assert len(waiting) == 0


def test_one_id_for_two_answers_admits_neither() -> None:
    waiting = Pending(Clock())
    waiting.add("r1", candidate("the one"))
    waiting.add("r1", candidate("the other"))
    assert waiting.take("r1") is None


@pytest.mark.parametrize(
    ("text", "bound"),
    [("text", MAX_ANSWERS), ("x" * (MAX_CHARACTERS // 8), 8)],
    ids=["number", "characters"],
)
def test_what_waits_is_bounded(text: str, bound: int) -> None:
    waiting = Pending(Clock())
    for number in range(bound + 3):
        waiting.add(f"r{number}", candidate(text))
    assert len(waiting) == bound
    assert waiting.take("r2") is None
    assert waiting.take("r3") is not None


def test_characters_are_given_back() -> None:
    waiting = Pending(Clock())
    for number in range(20):
        waiting.add("r", candidate("x" * (MAX_CHARACTERS // 2)))
        assert waiting.take("r") is not None, number
    waiting.add("a", candidate("x" * MAX_CHARACTERS))
    assert len(waiting) == 1
