"""Names of persons, by a token-classification model that the policy brings along.

text -> windows of tokens that overlap -> tokens whose probability of any label for persons reaches the threshold, in
any window -> whole words -> names: such words with nothing but spaces, hyphens, dots and apostrophes between them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from threading import Event

from llmops_sidecars.contract import NamesModel
from llmops_sidecars.guard.rules.brought import Brought
from llmops_sidecars.guard.rules.scan import joins, plain

Place = tuple[int, int]

POSITION = re.compile(r"^[BIESLUM][-_]")
"""Says where in a name a token stands, in front of the label itself."""

PERSONS = frozenset(
    (
        *("per", "pers", "person", "people", "personname", "name", "fullname", "namestudent"),
        *("firstname", "givenname", "middlename", "lastname", "familyname", "surname"),
    )
)
"""Labels for persons in models that others publish, without case and separators."""

BETWEEN = re.compile(r"[^\S\n]{0,2}[-.'\u2019\u00b7\u30fb]?[^\S\n]{0,2}")
"""What may stand between two words of one name."""


class Names:
    """The model of one rule, read at its first text."""

    def __init__(self, rule: str, model: NamesModel) -> None:
        """Look whether it is there; raises ValueError when a file or a label is not."""
        self._model = Brought(rule, model.path)
        self._persons = persons(rule, self._model.labels, model.labels)
        self._threshold = model.threshold

    async def places(self, texts: Sequence[str]) -> list[list[Place]]:
        """The names in each text, in order and apart, in a thread that ends soon after whoever waits has left."""
        left = Event()
        try:
            return await asyncio.to_thread(self.judged, texts, left)
        finally:
            left.set()

    def judged(self, texts: Sequence[str], left: Event) -> list[list[Place]]:
        """The same, in this thread, until `left` is set.

        Raises what loading or the model raises, and ValueError for a model that judges no tokens.
        """
        marked: list[list[Place]] = [[] for _ in texts]
        said = [number for number, text in enumerate(texts) if any(map(str.isalpha, text))]
        looked_at = [plain(texts[number]) for number in said]
        for number, window, shares in self._model.judged(looked_at):
            if left.is_set():
                break
            if shares.shape[1:] != (len(self._model.labels),):
                raise ValueError("the model's output is not a value for each token and label")
            probable = shares[:, self._persons].sum(axis=1)
            found = zip(window.offsets, probable, strict=False)  # what is behind the offsets is padding
            marked[said[number]] += [place for place, share in found if share >= self._threshold]
        return [names(text, places) for text, places in zip(texts, marked, strict=True)]


def persons(rule: str, known: Mapping[int, str], labels: Sequence[str]) -> list[int]:
    """Which outputs mean a person; raises ValueError for labels that the model has not, and when none is left."""
    bare = {number: POSITION.sub("", label) for number, label in known.items()}
    unknown = set(labels) - {*known.values(), *bare.values()}
    if unknown:
        raise ValueError(f"{rule}: the model knows {sorted(known.values())}, not {sorted(unknown)}")
    chosen = [
        number
        for number, label in sorted(known.items())
        if (not {label, bare[number]}.isdisjoint(labels) if labels else _simple(bare[number]) in PERSONS)
    ]
    if not chosen:
        raise ValueError(f"{rule}: of the model's labels {sorted(known.values())} none is known: say which in labels")
    return chosen


def names(text: str, marked: Iterable[Place]) -> list[Place]:
    """The names that marked tokens are parts of."""
    found: list[Place] = []
    for start, end in sorted(filter(None, (_word(text, *place) for place in marked))):
        if found and BETWEEN.fullmatch(text, found[-1][1], max(start, found[-1][1])):
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _word(text: str, start: int, end: int) -> Place | None:
    """The whole words that a token stands in, without what is around them; None for one without letters."""
    letters = [place for place in range(start, end) if joins(text[place]) or text[place].isalpha()]
    if not letters:
        return None
    start, end = letters[0], letters[-1] + 1
    while start > 0 and joins(text[start]) and joins(text[start - 1]):
        start -= 1
    while end < len(text) and joins(text[end - 1]) and joins(text[end]):
        end += 1
    return start, end


def _simple(label: str) -> str:
    return "".join(filter(str.isalpha, label)).lower()
