from __future__ import annotations

import math
from collections import Counter

import pytest
from cpu_llm.sampling import Sampling, choose, dice_of, likeliest
from hypothesis import given
from hypothesis import strategies as st

COUNTS = {"rare": 1, "common": 6, "middling": 3}
THROWS = 2000


def shares(sampling: Sampling, used: dict[str, int] | None = None) -> dict[str, float]:
    dice = dice_of(7)
    drawn = Counter(choose(COUNTS, used or {}, sampling, dice)[0] for _ in range(THROWS))
    return {word: count / THROWS for word, count in drawn.items()}


@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(temperature=0, top_p=0.9), Sampling(temperature=2.0, top_k=1), Sampling(top_p=0.01)],
    ids=["nothing said", "no temperature", "top_k of one", "a tiny top_p"],
)
def test_the_best_word_is_taken(sampling: Sampling) -> None:
    assert shares(sampling) == {"common": 1.0}


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        pytest.param(Sampling(temperature=1.0), {"common": 0.6, "middling": 0.3, "rare": 0.1}, id="temperature 1"),
        pytest.param(Sampling(top_k=2), {"common": 2 / 3, "middling": 1 / 3}, id="top_k"),
        pytest.param(Sampling(top_p=0.7), {"common": 2 / 3, "middling": 1 / 3}, id="top_p"),
        pytest.param(
            Sampling(top_k=0, temperature=1.0), {"common": 0.6, "middling": 0.3, "rare": 0.1}, id="top_k 0: all"
        ),
        pytest.param(
            Sampling(temperature=0.5), {"common": 36 / 46, "middling": 9 / 46, "rare": 1 / 46}, id="cold: squares"
        ),
    ],
)
def test_words_come_as_often_as_they_should(sampling: Sampling, expected: dict[str, float]) -> None:
    seen = shares(sampling)
    assert seen.keys() == expected.keys()
    assert all(seen[word] == pytest.approx(share, abs=0.04) for word, share in expected.items())


@pytest.mark.parametrize(
    ("sampling", "used", "best"),
    [
        pytest.param(Sampling(presence_penalty=1.0), {"common": 1}, "middling", id="presence"),
        pytest.param(Sampling(frequency_penalty=0.5), {"common": 1}, "common", id="frequency, once"),
        pytest.param(Sampling(frequency_penalty=0.5), {"common": 2}, "middling", id="frequency, twice"),
        pytest.param(Sampling(presence_penalty=-2.0), {"rare": 1}, "rare", id="a reward"),
    ],
)
def test_penalties_are_taken_from_the_logits(sampling: Sampling, used: dict[str, int], best: str) -> None:
    assert choose(COUNTS, used, sampling, dice_of(0))[0] == best


@given(
    counts=st.dictionaries(st.text(max_size=3), st.integers(1, 10**6), min_size=1, max_size=8),
    temperature=st.floats(0.001, 100),
    top_k=st.integers(0, 10),
    top_p=st.floats(0.001, 1),
)
def test_any_parameters_give_a_word_with_a_probability(
    counts: dict[str, int], temperature: float, top_k: int, top_p: float
) -> None:
    word, logprob = choose(counts, {}, Sampling(temperature, top_k, top_p), dice_of(1))
    assert math.exp(logprob) == pytest.approx(counts[word] / sum(counts.values()))


@pytest.mark.parametrize(
    ("sampling", "used", "expected"),
    [
        (Sampling(told=2), {}, {"common": 0.6, "middling": 0.3}),
        (Sampling(told=9, temperature=0.1, top_k=1), {}, {"common": 0.6, "middling": 0.3, "rare": 0.1}),
        (Sampling(told=1, presence_penalty=2.0), {"common": 1}, {"middling": 3 / (4 + 6 * math.exp(-2))}),
        (Sampling(), {}, {}),
    ],
    ids=["two", "more than there are", "penalties count", "none"],
)
def test_the_likeliest_words_are_told(sampling: Sampling, used: dict[str, int], expected: dict[str, float]) -> None:
    told = likeliest(COUNTS, used, sampling)
    assert [word for word, _ in told] == list(expected)
    assert [math.exp(logprob) for _, logprob in told] == pytest.approx(list(expected.values()))
