from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from llmops_sidecars.guard.rules.injection.model import head_of
from llmops_sidecars.guard.rules.injection.net import EACH, LAYOUT, SIZES, Net
from llmops_sidecars.guard.rules.injection.tokens import FIRST, UNKNOWN
from tools.injection import learn as learning
from tools.injection.learn import LENGTH, NOTHING, Batch, learn, table_of
from tools.injection.texts import Text
from tools.injection.train import _head, index_of
from tools.injection.vectors import FILE, read, write
from tools.injection.windows import MOST_HARMLESS, batch_of, windowed

WORDS = ("alpha", "beta", "gamma", "delta", "omega", "sigma")
VECTORS = np.eye(len(WORDS), dtype=np.float32) * 2


def text(said: str, attack: tuple[int, int] = (0, 0)) -> Text:
    return Text(said, attack, "kind", "en", 0, said)


def windows_with_a_pair(count: int, seed: int) -> Batch:
    """Harmful are the windows in which `beta` stands right behind `alpha`."""
    chance = np.random.default_rng(seed)
    rows = chance.integers(FIRST, FIRST + len(WORDS), (count, LENGTH)).astype(np.int32)
    rows[:, chance.integers(10, LENGTH) :] = NOTHING
    together = ((rows[:, :-1] == FIRST) & (rows[:, 1:] == FIRST + 1)).any(axis=1)
    return Batch(rows, together.astype(np.float32), np.ones(count, np.float32))


def net_of(weights: learning.Weights) -> Net:
    table, steps = table_of(weights, VECTORS)
    return Net(index_of(WORDS), table, head_of(_head(weights, steps)))


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "EPOCHS", 30)
    monkeypatch.setattr(learning, "WORDS_DROPPED", 0.0)


@pytest.mark.usefixtures("eager")
def test_the_order_of_words_is_learned_and_survives_the_table() -> None:
    net = net_of(learn(VECTORS, windows_with_a_pair(4000, 1), 1))
    unseen = windows_with_a_pair(500, 2)
    odds = np.array([net.windows(rows[rows != NOTHING])[0] for rows in unseen.windows])
    assert ((odds > 0) == (unseen.labels > 0)).mean() > 0.95


def test_learning_is_the_same_for_the_same_seed() -> None:
    first, second = (learn(VECTORS, windows_with_a_pair(300, 1), 5) for _ in range(2))
    assert all((first[name] == second[name]).all() for name in first)


def test_slopes_are_those_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "WORDS_DROPPED", 0.0)
    monkeypatch.setattr(learning, "FILTERS_DROPPED", 0.0)
    chance = np.random.default_rng(3)
    batch = windows_with_a_pair(64, 4)
    batch.windows[:, 3] = UNKNOWN
    weights = learning._begin(VECTORS.shape[1], chance)
    slopes = learning._slopes(weights, VECTORS, batch, chance)

    def loss(name: str, place: tuple[int, ...], by: float) -> float:
        moved = {**weights, name: weights[name].copy()}
        moved[name][place] += by
        seen = learning._seen(moved, VECTORS, batch.windows, chance)
        products = seen @ moved["taps"]
        best, _ = learning._pooled(products.astype(np.float32))
        inner = np.maximum(np.maximum(best + moved["bias"], 0) @ moved["hidden"] + moved["hidden_bias"], 0)
        signed = (inner @ moved["last"] + moved["offset"]) * np.where(batch.labels > 0, -1, 1)
        return float(np.logaddexp(0, signed).mean())

    for name, slope in slopes.items():
        place = tuple(int(at) for at in np.unravel_index(int(np.abs(slope).argmax()), slope.shape))
        measured = (loss(name, place, 0.01) - loss(name, place, -0.01)) / 0.02
        assert slope[place] == pytest.approx(measured, rel=0.1, abs=1e-3), name


def test_the_table_holds_what_words_add() -> None:
    weights = learning._begin(VECTORS.shape[1], np.random.default_rng(1))
    table, steps = table_of(weights, VECTORS)
    column = EACH * LAYOUT.index((len(SIZES) - 1, 0)) + 5
    filter_ = EACH * (len(SIZES) - 1) + 5
    assert table[FIRST + 3, column] * steps[filter_] == pytest.approx(
        2 * weights["taps"][3, column], abs=float(steps[filter_])
    )


def test_windows_of_an_attack_are_harmful_and_its_edges_are_left_out() -> None:
    around = "alpha beta gamma delta " * 20
    attack = "omega sigma " * 8
    said = windowed(
        [text(around + attack + around, (len(around), len(around) + len(attack)))], index_of(WORDS), random.Random(1)
    )
    assert said.labels.any()
    assert not said.labels.all()
    omega = FIRST + WORDS.index("omega")
    counted = (said.windows == omega).sum(axis=1)
    assert set(counted[said.labels]) <= {6, 7, 8}
    assert set(counted[~said.labels]) == {0}


def test_few_windows_of_a_harmless_text_are_learned_and_share_its_weight() -> None:
    said = windowed([text("alpha beta " * 900), text("gamma")], index_of(WORDS), random.Random(1))
    assert len(said.labels) == MOST_HARMLESS + 1
    batch = batch_of(said, [True, True])
    assert batch.importance[-1] == 1
    assert batch.importance[0] == pytest.approx(MOST_HARMLESS**-0.5)
    assert len(batch_of(said, [False, True]).labels) == 1


def test_vectors_come_back_as_they_were_kept(tmp_path: Path) -> None:
    found = (np.random.default_rng(1).standard_normal((400, 200)) / np.arange(1, 201)).astype(np.float32)
    words = tuple(f"w{number}" for number in range(400))
    write(words, found, tmp_path / "vectors.npz")
    again = read(tmp_path / "vectors.npz")
    assert again.words == words
    centred = found - found.mean(axis=0)
    wanted, kept = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (centred, again.rows))
    assert (wanted @ wanted.T)[:40, :40] == pytest.approx((kept @ kept.T)[:40, :40], abs=0.05)


def test_words_of_one_meaning_are_near_each_other_in_every_language() -> None:
    kept = read(FILE)
    row = {word: kept.rows[place] for place, word in enumerate(kept.words)}

    def nearness(one: str, other: str) -> float:
        return float(row[one] @ row[other] / np.linalg.norm(row[one]) / np.linalg.norm(row[other]))

    for other in ("disregard", "ignoriere", "忽略", "игнорируй"):
        assert nearness("ignore", other) > nearness("ignore", "banana") + 0.1
