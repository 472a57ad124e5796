"""How the next word is chosen among those that may follow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

Scored = Sequence[tuple[str, float]]
"""Words with a logit each, the best first; of two equal ones the one that the corpus had first."""


@dataclass(frozen=True)
class Sampling:
    """A request's sampling parameters. Without the first three, at a temperature of 0 or a top_k of 1: greedy.

    `told` is how many of the likeliest words are told with each word.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    told: int = 0

    @property
    def greedy(self) -> bool:
        """Whether the best word is taken, whatever the dice say."""
        unset = self.temperature is None and self.top_k is None and self.top_p is None
        return unset or self.temperature == 0 or self.top_k == 1


def dice_of(seed: int | None) -> Random:
    """The random numbers of one request: the same for the same seed, others each time for none."""
    return Random(seed)  # noqa: S311 - nobody need be unable to guess them


def choose(counts: Mapping[str, int], used: Mapping[str, int], sampling: Sampling, dice: Random) -> tuple[str, float]:
    """One of the counted words, and its natural log-probability among all of them.

    Args:
        counts: how often the corpus has each word here; not empty.
        used: how often the answer has each word already, for the penalties.
        sampling: the request's parameters.
        dice: the request's own random numbers.
    """
    scored = _scored(counts, used, sampling)
    total = _log_sum([logit for _, logit in scored])
    word, logit = scored[0] if sampling.greedy else _throw(scored, sampling, dice)
    return word, logit - total


def likeliest(counts: Mapping[str, int], used: Mapping[str, int], sampling: Sampling) -> tuple[tuple[str, float], ...]:
    """The likeliest words, `sampling.told` of them, with their natural log-probabilities; arguments as for `choose`."""
    scored = _scored(counts, used, sampling)
    total = _log_sum([logit for _, logit in scored])
    return tuple((word, logit - total) for word, logit in scored[: sampling.told])


def _scored(counts: Mapping[str, int], used: Mapping[str, int], sampling: Sampling) -> Scored:
    """Logits are logarithms of counts; a penalty is subtracted from them, as OpenAI's API defines it."""

    def logit(word: str) -> float:
        uses = used.get(word, 0)
        presence = sampling.presence_penalty if uses else 0.0
        return math.log(counts[word]) - presence - sampling.frequency_penalty * uses

    return sorted(((word, logit(word)) for word in counts), key=lambda item: -item[1])


def _throw(scored: Scored, sampling: Sampling, dice: Random) -> tuple[str, float]:
    """A word by chance: the top_k best, heated, and of these the fewest that reach top_p."""
    kept = scored[: sampling.top_k or None]
    heat = sampling.temperature or 1.0
    best = kept[0][1]
    weights = [math.exp((logit - best) / heat) for _, logit in kept]
    size = _nucleus(weights, sampling.top_p)
    return dice.choices(kept[:size], weights[:size])[0]


def _nucleus(weights: Sequence[float], top_p: float | None) -> int:
    """How many of the first weights make up the share `top_p` of them all; at least one."""
    if top_p is None:
        return len(weights)
    wanted, reached = top_p * sum(weights), 0.0
    for size, weight in enumerate(weights, start=1):
        reached += weight
        if reached >= wanted:
            return size
    return len(weights)


def _log_sum(logits: Sequence[float]) -> float:
    best = max(logits)
    return best + math.log(sum(math.exp(logit - best) for logit in logits))
