from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.cache.answer import REPLAY_CHARACTERS, split_text


@given(st.text())
def test_pieces_are_the_text_and_never_too_large(text: str) -> None:
    pieces = split_text(text)
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= REPLAY_CHARACTERS for piece in pieces)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("Short.", ["Short."]),
        ("word " * 12, ["word" + " word" * 8, " word word word "]),
        ("x" * 50, ["x" * 48, "xx"]),
        ("line\n" * 3, ["line\nline\nline\n"]),
    ],
    ids=["empty", "short", "words", "no-words", "lines"],
)
def test_pieces_end_between_words(text: str, pieces: list[str]) -> None:
    assert split_text(text) == pieces
