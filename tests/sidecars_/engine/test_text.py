from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.engine.text import CumulativeText, StopWords
from llmops_sidecars.openai.errors import ApiError


@pytest.mark.parametrize(
    ("texts", "added"),
    [
        (["a", "a b", "a b c"], ["a", " b", " c"]),
        (["", "a", "a"], ["", "a", ""]),
        (["a \ufffd", "a ü", "a üb"], ["a ", "ü", "b"]),
        (["\ufffd\ufffd", "\ufffd\ufffd\ufffd", "🎈"], ["", "", "🎈"]),
        (["a \ufffd", "a \ufffd"], ["a ", "\ufffd"]),
        (["one two", "one"], ["one two", ""]),
    ],
    ids=["words", "nothing new", "unfinished character", "of four bytes", "never finished", "taken back"],
)
def test_what_a_cumulative_text_adds(texts: list[str], added: list[str]) -> None:
    text = CumulativeText()
    assert [*(text.added(now) for now in texts[:-1]), text.added(texts[-1], last=True)] == added


def test_a_text_that_changes_afterwards_is_a_failure() -> None:
    text = CumulativeText()
    text.added("one two")
    with pytest.raises(ApiError) as caught:
        text.added("one three")
    assert caught.value.code == "engine_failed"
    assert "three" not in caught.value.body.message


@given(st.text())
def test_a_text_decoded_byte_by_byte_arrives_whole(text: str) -> None:
    data, cumulative = text.encode("utf-8", "ignore"), CumulativeText()
    prefixes = [data[: end + 1].decode("utf-8", "replace") for end in range(len(data))]
    parts = [cumulative.added(prefix, last=end == len(prefixes) - 1) for end, prefix in enumerate(prefixes)]
    assert "".join(parts) == data.decode()


@pytest.mark.parametrize(
    ("words", "texts", "out", "found"),
    [
        ([], ["a", "b"], ["a", "b"], False),
        (["END"], ["some text"], ["some text"], False),
        (["END"], ["some END more"], ["some "], True),
        (["END"], ["some E", "ND", " more"], ["some ", "", ""], True),
        (["END"], ["some E", "verything"], ["some ", "Everything"], False),
        (["END"], ["EEN", "D"], ["E", ""], True),
        (["aab"], ["aa", "ab"], ["", "a"], True),
        (["\n\n", "END"], ["a\n", "b", "E", "\n", "\n"], ["a", "\nb", "", "E", ""], True),
        (["b", "abc"], ["xabcd"], ["xa"], True),
    ],
    ids=[
        "none",
        "absent",
        "inside",
        "in pieces",
        "only begun",
        "begun twice",
        "overlapping",
        "two words",
        "one in another",
    ],
)
def test_a_text_ends_before_a_stop_word(words: list[str], texts: list[str], out: list[str], *, found: bool) -> None:
    stop = StopWords(words)
    assert [stop.feed(text) for text in texts] == out
    assert stop.found is found


@pytest.mark.parametrize(
    ("stop_word", "rest"),
    [(None, "three"), ("three four", ""), ("four", "three"), ("reef", "th")],
    ids=["ended by itself", "the stop word begins there", "another stop word", "it begins later"],
)
def test_what_was_held_back_leaves_unless_it_is_a_stop_word_begun(stop_word: str | None, rest: str) -> None:
    stop = StopWords(["three four", "four"])
    assert stop.feed("one three") == "one "
    assert stop.finish(stop_word) == rest
    assert stop.finish(stop_word) == ""


@given(st.text("ab"), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.integers(1, 5))
def test_stop_words_cut_pieces_as_they_cut_the_whole(text: str, words: list[str], size: int) -> None:
    stop = StopWords(words)
    out = "".join(stop.feed(text[start : start + size]) for start in range(0, len(text), size)) + stop.finish(None)
    matches = [(text.find(word) + len(word), text.find(word)) for word in words if word in text]
    assert stop.found == bool(matches)
    assert out == (text[: min(matches)[1]] if matches else text)
