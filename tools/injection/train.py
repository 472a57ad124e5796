"""Train the injection classifier from the tuning family and write it into the package: `make train-injection`.

Seeded and on one thread: the same files on every run on the same kind of processor. Thresholds come from texts whose
templates the judging weights have not seen: the templates are dealt to parts, and each part is judged by weights of the
others.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules import injection
from llmops_sidecars.guard.rules.injection.encodings import pieces_of
from llmops_sidecars.guard.rules.injection.features import BITS
from llmops_sidecars.guard.rules.injection.judge import summary, weighed
from llmops_sidecars.guard.rules.injection.model import (
    FIGURES,
    TABLE,
    WEIGHTS,
    WORDS,
    Model,
    head_of,
    packed,
    unpacked,
)
from llmops_sidecars.guard.rules.injection.net import Net
from llmops_sidecars.guard.rules.injection.scripts import GROUPS, LENGTHS, bucket_of, group_of
from llmops_sidecars.guard.rules.injection.tokens import FIRST, MARKS_OF, Index, hash_of, tokens_of
from llmops_sidecars.guard.rules.injection.words import words_of
from tools.injection.fit import Rows, Vector, fit
from tools.injection.learn import Batch, Weights, learn, table_of
from tools.injection.rows import Row, rows_of, together
from tools.injection.texts import FOLDS, PROSE, Family, Text, documents, harmful, harmless, hidden, prose
from tools.injection.vectors import FILE as VECTORS
from tools.injection.vectors import Vectors
from tools.injection.vectors import read as read_vectors
from tools.injection.windows import batch_of, windowed

PACKAGE = Path(injection.__file__).parent
SOURCES = Path(__file__).parent

SEED = 20240607
EACH_HARMFUL, EACH_HARMLESS, DOCUMENTS, HIDDEN = 5, 7, 400, 900
"""Texts of a template, and how many long ones."""

DECAY = 3e-5
FIRST_STEPS, STEPS = 15, 30
DOUBTFUL = 0.0
"""Log-odds under which a segment of an attack is taken for its harmless part, when another segment has more."""

MISSED = 0.03
"""Share of the attacks that the first look may call harmless."""

NATURAL, HARD = 0.98, 0.90
"""Shares of harmless texts, and of those made to be mistaken, that must stay under the threshold."""

LONG, LONG_FROM = 0.95, 2
"""The same share for long texts, and from which length on: this family's repeat few templates, none of them seen."""

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
        *prose(),
    ]
    _say(start, f"{len(texts)} texts of {sum(len(text.text) for text in texts)} characters")
    vectors = read_vectors()
    index = index_of(vectors.words)
    seen = windowed(texts, index, chance)
    parts = range(FOLDS)
    nets = [_net(index, vectors, batch_of(seen, [text.fold != part for text in texts])) for part in parts]
    least = _least(texts, nets)
    _say(start, f"first look at {least:.2f} and more")
    rows = rows_of(texts, chance)
    _say(start, f"{len(rows)} segments")
    weights = [_weights(row for row in rows if texts[row.text].fold != part) for part in parts]
    _say(start, "weights of each part")
    models = [_model(net, least, one) for net, one in zip(nets, weights, strict=True)]
    figures = [_figures(text.text, models[text.fold]) for text in texts]
    looked_at = [(some[0], text.harmful) for text, some in zip(texts, figures, strict=True) if some]
    total = _summing([one for one, _ in looked_at], [harmful for _, harmful in looked_at])
    values = np.array([max((float((one * total).sum()) for one in some), default=UNSEEN) for some in figures])
    thresholds = _thresholds(texts, values)
    _tell(texts, values, thresholds)
    net = learn(vectors.rows, batch_of(seen, [True] * len(texts)), SEED)
    _write(vectors, index, net, least, _weights(rows), total, thresholds)
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


def index_of(words: Sequence[str]) -> Index:
    """Where each word's row is; of words with the same hash, the first's."""
    marks = [(hash_of(mark), row) for row, marks in MARKS_OF.items() for mark in marks.split()]
    known = [*marks, *((hash_of(word), FIRST + place) for place, word in enumerate(words))]
    hashes, rows = np.array([one for one, _ in known], np.uint32), np.array([row for _, row in known], np.int32)
    order = np.argsort(hashes, kind="stable")
    return Index(hashes[order], rows[order])


def _net(index: Index, vectors: Vectors, batch: Batch) -> Net:
    weights = learn(vectors.rows, batch, SEED)
    table, steps = table_of(weights, vectors.rows)
    return Net(index, table, head_of(_head(weights, steps)))


def _head(weights: Weights, steps: NDArray[np.float32]) -> dict[str, Any]:
    """The layers behind the filters, as they are written."""
    names = ("bias", "hidden", "hidden_bias", "last")
    written = {name: np.round(weights[name].astype(float), 5).tolist() for name in names}
    scales, offset = np.round(steps.astype(float), 8).tolist(), round(float(weights["offset"][0]), 5)
    return {"scales": scales, **written, "offset": offset}


def _least(texts: Sequence[Text], nets: Sequence[Net]) -> float:
    """The log-odds that nearly all attacks reach by a net that has not seen their templates."""
    highest = [
        float(nets[text.fold].windows(tokens_of(text.text, nets[text.fold].index).rows).max(initial=UNSEEN))
        for text in texts
        if text.harmful
    ]
    return float(np.quantile(highest, MISSED))


def _model(net: Net, least: float, weights: Vector) -> Model:
    content, largest = packed(weights[:-1])
    return Model(net, least, unpacked(np.frombuffer(content, np.int8), largest), float(weights[-1]), np.zeros(0), {})


def _figures(text: str, using: Model) -> list[NDArray[np.float64]]:
    """The summary of each part of a text, and of what is decoded in it, that is looked at closely."""
    texts = [text, *(piece.text for piece in pieces_of(text, tokens_of(text, using.net.index)))]
    said = [(one, tokens_of(one, using.net.index)) for one in texts]
    return [summary(found) for one, tokens in said for _, found in weighed(one, tokens, using, using.least)]


def _summing(figures: Sequence[NDArray[np.float64]], labels: Sequence[bool]) -> NDArray[np.float64]:
    """Logistic regression of the label on the summary; its last column is the constant."""
    rows = np.array(figures)
    width = rows.shape[1] - 1
    joined = Rows(
        np.tile(np.arange(width, dtype=np.int32), len(rows)),
        rows[:, :-1].ravel().astype(np.float32),
        np.arange(0, len(rows) * width, width),
    )
    return fit(joined, np.array(labels, float), np.ones(len(rows)), width, 1e-4, 100)


def _thresholds(texts: Sequence[Text], totals: Vector) -> dict[str, list[float]]:
    """One for the group plus one for the length, so that small cells borrow from their neighbours."""
    harmless_ = [(place, text) for place, text in enumerate(texts) if not text.harmful]
    places = np.array([place for place, _ in harmless_])
    hard = np.array([text.kind.startswith(MADE_HARD) for _, text in harmless_])
    bucket = np.array([bucket_of(len(text.text)) for _, text in harmless_])
    group = np.array([group_of(words_of(text.text).words) for _, text in harmless_])
    values = totals[places]
    base = np.quantile(values[~hard], NATURAL)
    shares = [NATURAL if one < LONG_FROM else LONG for one in range(len(LENGTHS) + 1)]
    by_length = [_quantile(values[(bucket == one) & ~hard], share, base) - base for one, share in enumerate(shares)]
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


def _tell(texts: Sequence[Text], values: Vector, thresholds: dict[str, list[float]]) -> None:
    """Print what texts of unseen templates are taken for."""
    said: dict[tuple[str, str], list[bool]] = {}
    for text, value in zip(texts, values, strict=True):
        bound = thresholds[group_of(words_of(text.text).words)][bucket_of(len(text.text))]
        alone = "alone" if text.attack == (0, len(text.text)) else "inside"
        kind = f"attack {alone}" if text.harmful else "hard" if text.kind.startswith(MADE_HARD) else "harmless"
        said.setdefault((text.language, kind), []).append(value >= bound)
    for (language, kind), found in sorted(said.items()):
        print(f"{language:6} {kind:14} {100 * sum(found) / len(found):5.1f} % of {len(found)}", flush=True)


def _quantile(values: Vector, share: float, otherwise: float) -> float:
    return float(np.quantile(values, share)) if len(values) >= FEWEST else otherwise


FEWEST = 40
"""Texts that a quantile is taken of."""


UNSEEN = -20.0
"""Log-odds of a text that is not looked at closely."""


def _write(
    vectors: Vectors,
    index: Index,
    net: Weights,
    least: float,
    weights: Vector,
    total: NDArray[np.float64],
    thresholds: dict[str, list[float]],
) -> None:
    table, steps = table_of(net, vectors.rows)
    content, largest = packed(weights[:-1])
    files = {
        WEIGHTS: content,
        TABLE: table.tobytes(),
        WORDS: index.hashes.tobytes() + index.rows.astype(np.uint32).tobytes(),
    }
    for name, one in files.items():
        (PACKAGE / name).write_bytes(one)
    figures = {
        "offset": round(float(weights[-1]), 6),
        "largest": round(largest, 6),
        "least": round(least, 4),
        "head": _head(net, steps),
        "total": [round(float(one), 6) for one in total],
        "thresholds": thresholds,
        "digests": {name: hashlib.sha256(one).hexdigest() for name, one in files.items()}
        | {"sources": sources_digest()},
    }
    (PACKAGE / FIGURES).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def sources_digest() -> str:
    """What the weights are made from: the grammars, this script and its parts, and how the package sees words."""
    files = [
        *sorted(SOURCES.glob("*.py")),
        *sorted((SOURCES / "family").glob("*.txt")),
        VECTORS,
        PROSE,
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
    "letters.py",
    "words.py",
    "tokens.py",
    "net.py",
    "segments.py",
    "features.py",
    "evidence.py",
    "patterns.py",
)

if __name__ == "__main__":
    sys.exit(main())
