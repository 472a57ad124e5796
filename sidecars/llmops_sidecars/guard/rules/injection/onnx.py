"""A classifier that a policy brings along: the highest of a text's windows decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from llmops_sidecars.contract import InjectionModel
from llmops_sidecars.guard.rules.brought import Brought
from llmops_sidecars.guard.rules.injection.judge import Span

if TYPE_CHECKING:
    from tokenizers import Encoding

KIND = "model"


class Classifier:
    """The model of one rule, loaded at its first text."""

    def __init__(self, model: InjectionModel) -> None:
        """Look whether it is there; raises ValueError when a file or a label is not."""
        self._model = Brought("injection", model.path)
        self._attacks = _attacks(self._model.labels, model.labels)

    def spans(self, text: str, threshold: float) -> list[Span]:
        """The windows that the model takes for an attack; raises what loading or the model raises."""
        found: list[Span] = []
        for _, window, shares in self._model.judged([text]):
            probable = float(shares[self._attacks].sum())
            if probable >= threshold:
                found.append((*_characters(window), KIND, probable))
        return found


def _attacks(names: Mapping[int, str], labels: Sequence[str]) -> list[int]:
    """Which outputs mean an attack; raises ValueError for labels that the model has not."""
    unknown = set(labels) - set(names.values())
    if unknown:
        raise ValueError(f"injection: the model knows {sorted(names.values())}, not {sorted(unknown)}")
    return [number for number in sorted(names) if (names[number] in labels if labels else number > 0)]


def _characters(window: Encoding) -> tuple[int, int]:
    """From the first to behind the last character of a window; special tokens have none."""
    places = [(start, end) for start, end in window.offsets if end > start]
    return (places[0][0], places[-1][1]) if places else (0, 0)
