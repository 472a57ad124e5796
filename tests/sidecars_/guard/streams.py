"""Streams of an answer: texts cut everywhere, and what a window lets out of them."""

from __future__ import annotations

from llmops_sidecars.contract import StreamWindow
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.window import Release, Window

HELD = StreamWindow()
HURRIED = StreamWindow(hold_back_characters=16, hold_back_seconds=0.01)

RATES = {"at once": 0.0, "slowly": 1.0}


def releases(
    pieces: list[str], chosen: Rules, bounds: StreamWindow = HELD, seconds_apart: float = 0.0
) -> list[Release]:
    """What a window gives for each piece, and at the end."""
    window = Window(chosen, bounds)
    given_out = [window.push(piece, index * seconds_apart) for index, piece in enumerate(pieces)]
    return [*given_out, window.flush()]


def text_of(given_out: list[Release]) -> str:
    return "".join(release.text for release in given_out)


def splits(text: str) -> list[list[str]]:
    """The text cut in two at every place, cut in threes at every place, and letter by letter."""
    halves = [[text[:place], text[place:]] for place in range(len(text) + 1)]
    pieces = [[text[place : place + size] for place in range(0, len(text), size)] for size in (1, 2, 3, 5, 8)]
    return halves + pieces
