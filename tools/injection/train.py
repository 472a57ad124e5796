"""Train the injection classifier from the tuning family and write it into the package: `make train-injection`.

Seeded, one thread, double precision: the same files on every run. Thresholds come from texts whose templates the
judging weights have not seen: the templates are dealt to parts, and each part is judged by weights of the others.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules import injection
from llmops_sidecars.guard.rules.injection.features import BITS
from llmops_sidecars.guard.rules.injection.judge import evidence_of, summary
from llmops_sidecars.guard.rules.injection.model import FIGURES, WEIGHTS, Model, packed, unpacked
from llmops_sidecars.guard.rules.injection.scripts import GROUPS, LENGTHS, bucket_of, group_of
from llmops_sidecars.guard.rules.injection.words import words_of
from tools.injection.fit import Rows, Vector, fit
from tools.injection.rows import Row, rows_of, together
from tools.injection.texts import FOLDS, Family, Text, documents, harmful, harmless, hidden

PACKAGE = Path(injection.__file__).parent
SOURCES = Path(__file__).parent

SEED = 20240607
EACH_HARMFUL, EACH_HARMLESS, DOCUMENTS, HIDDEN = 8, 12, 700, 500
"""Texts of a template, and how many long ones."""

DECAY = 3e-5
FIRST_STEPS, STEPS = 15, 30
DOUBTFUL = 0.0
"""Log-odds under which a segment of an attack is taken for its harmless part, when another segment has more."""

NATURAL, HARD = 0.97, 0.90
"""Shares of harmless texts, and of those made to be mistaken, that must stay under the threshold."""

MADE_HARD = ("trigger", "security", "systemprompt", "prompts")


def main() -> int:
    """Train, write, and print how long each step took."""
    start = time.monotonic()
    chance = random.Random(SEED)
    family = Family()
    texts = [
        *harmful(family, EACH_HARMFUL, chance),
        *harmless(family, EACH_HARMLESS, chance),
        *documents(family, DOCUMENTS, chance),
        *hidden(family, HIDDEN, chance),
    ]
    _say(start, f"{len(texts)} texts of {sum(len(text.text) for text in texts)} characters")
    rows = rows_of(texts, chance)
    _say(start, f"{len(rows)} segments")
    seen, figures = _held_out(texts, rows, start)
    total = _summing(figures, np.array([texts[number].harmful for number in seen]))
    thresholds = _thresholds(texts, seen, figures @ total)
    weights = _weights(rows)
    _write(weights, total, thresholds)
    _say(start, "written")
    return 0


def _say(start: float, what: str) -> None:
    print(f"{time.monotonic() - start:6.1f} s  {what}", flush=True)


def _weights(rows: Iterable[Row]) -> Vector:
    """Fit twice: the second time without segments of attacks that are harmless by themselves."""
    chosen = list(rows)
    joined, labels, importance = together(chosen)
    first = fit(joined, labels, importance, 1 << BITS, DECAY, FIRST_STEPS)
    kept = _kept(chosen, joined.times(first[:-1]) + first[-1])
    return fit(joined, labels, importance * kept, 1 << BITS, DECAY, STEPS)


def _kept(rows: Sequence[Row], scores: Vector) -> NDArray[np.bool_]:
    best: dict[int, float] = {}
    for row, score in zip(rows, scores, strict=True):
        if row.harmful:
            best[row.text] = max(best.get(row.text, -np.inf), score)
    return np.array(
        [
            not row.harmful or score >= DOUBTFUL or score == best[row.text]
            for row, score in zip(rows, scores, strict=True)
        ]
    )


def _held_out(texts: Sequence[Text], rows: list[Row], start: float) -> tuple[list[int], NDArray[np.float64]]:
    """Which texts have words, and the summary of each by weights that have not seen its templates."""
    seen: list[int] = []
    figures = []
    for fold in range(FOLDS):
        weights = _weights(row for row in rows if texts[row.text].fold != fold)
        using = _model(weights)
        for number, text in enumerate(texts):
            if text.fold == fold and (found := evidence_of(text.text, using)) is not None:
                seen.append(number)
                figures.append(summary(found))
        _say(start, f"part {fold + 1} of {FOLDS} judged by the others")
    return seen, np.array(figures)


def _model(weights: Vector) -> Model:
    content, largest = packed(weights[:-1])
    return Model(unpacked(np.frombuffer(content, np.int8), largest), float(weights[-1]), np.zeros(0), {})


def _summing(figures: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Logistic regression of the label on the summary; its last column is the constant."""
    width = figures.shape[1] - 1
    rows = Rows(
        np.tile(np.arange(width, dtype=np.int32), len(figures)),
        figures[:, :-1].ravel().astype(np.float32),
        np.arange(0, len(figures) * width, width),
    )
    return fit(rows, labels.astype(float), np.ones(len(figures)), width, 1e-4, 100)


def _thresholds(texts: Sequence[Text], seen: list[int], totals: Vector) -> dict[str, list[float]]:
    """One for the group plus one for the length, so that small cells borrow from their neighbours."""
    harmless_ = [(place, texts[number]) for place, number in enumerate(seen) if not texts[number].harmful]
    places = np.array([place for place, _ in harmless_])
    hard = np.array([text.kind.startswith(MADE_HARD) for _, text in harmless_])
    bucket = np.array([bucket_of(len(text.text)) for _, text in harmless_])
    group = np.array([group_of(words_of(text.text).words) for _, text in harmless_])
    values = totals[places]
    base = np.quantile(values[~hard], NATURAL)
    by_length = [_quantile(values[(bucket == one) & ~hard], NATURAL, base) - base for one in range(len(LENGTHS) + 1)]
    by_length = list(np.maximum.accumulate(by_length))
    level = values - np.array(by_length)[bucket]
    by_group = {
        one: max(
            _quantile(level[(group == one) & ~hard], NATURAL, -np.inf),
            _quantile(level[(group == one) & hard], HARD, -np.inf),
        )
        for one in GROUPS
    }
    highest = max(by_group.values())
    return {
        one: [round(float((bound if np.isfinite(bound) else highest) + extra), 4) for extra in by_length]
        for one, bound in by_group.items()
    }


def _quantile(values: Vector, share: float, otherwise: float) -> float:
    return float(np.quantile(values, share)) if len(values) >= FEWEST else otherwise


FEWEST = 40
"""Texts that a quantile is taken of."""


def _write(weights: Vector, total: NDArray[np.float64], thresholds: dict[str, list[float]]) -> None:
    content, largest = packed(weights[:-1])
    (PACKAGE / WEIGHTS).write_bytes(content)
    figures = {
        "offset": round(float(weights[-1]), 6),
        "largest": round(largest, 6),
        "total": [round(float(one), 6) for one in total],
        "thresholds": thresholds,
        "digests": {WEIGHTS: hashlib.sha256(content).hexdigest(), "sources": sources_digest()},
    }
    (PACKAGE / FIGURES).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def sources_digest() -> str:
    """What the weights are made from: the grammars, this script and its parts, and how the package sees words."""
    files = [
        *sorted(SOURCES.glob("*.py")),
        *sorted((SOURCES / "family").glob("*.txt")),
        *(PACKAGE / name for name in MADE_FROM),
    ]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


MADE_FROM = (
    "lexicon.txt",
    "lexicon.py",
    "fold.py",
    "words.py",
    "segments.py",
    "features.py",
    "evidence.py",
    "patterns.py",
)

if __name__ == "__main__":
    sys.exit(main())
