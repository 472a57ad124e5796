"""Recall and false alarms of the harm rule, and its speed: `python -m bench.harm`, some seconds, no cluster.

The texts come from `family.txt`, whose templates were written after the rule had been tuned on `tuning.txt` and on the
texts of the tests; `python -m bench.harm tuning` shows how it does there. What counts is templates, not texts: fillings
of one template are found or missed together, so that a thousand texts of a hundred templates say as much as a hundred.
"""

from __future__ import annotations

import math
import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.harm.ngrams import Classifier
from bench.report import Goal, write
from llmops_sidecars.contract import HarmCategory
from llmops_sidecars.guard.rules.harm import scored

FAMILY, TUNING = (Path(__file__).parent / f"{name}.txt" for name in ("family", "tuning"))
THRESHOLD = 0.5
SEED, FILLINGS = 20240611, 12
BENIGN = "-"
SLOT = re.compile(r"\{\w+\}")
Z = 1.96
"""Of a normal distribution, for 95 %."""

PLAIN = "The quick brown fox jumps over the lazy dog and shows all the people something new to see. "
SHARP = "The dog was hurt by a bomb in the war, a man was murdered, and people hated the drugs that they got there. "


def main() -> int:
    """Measure, print, write the results."""
    name = sys.argv[1] if len(sys.argv) > 1 else "family"
    found, missed = _judged(FAMILY.with_stem(name))
    figures = {name: _share(values) for name, values in sorted(found.items())}
    for group, figure in figures.items():
        print(f"{group:24} {figure['share']:6.1%}  [{figure['low']:.1%}, {figure['high']:.1%}]  {figure['templates']}")
    print("\n".join(missed))
    if name != "family":
        return 0
    compared = _compared(figures["false alarms"]["share"])
    print(f"hashed n-grams at as many false alarms: {compared:.1%}")
    speed = {f"{name} text of {size} characters": _milliseconds(text, size) for name, text, size in _texts()}
    goals = [Goal(f"harm rule, {name}", value, "ms", "<= 2") for name, value in speed.items()]
    write(
        "harm",
        {
            "seed": SEED,
            "shares": figures,
            "n-grams at as many false alarms": compared,
            "wrong": missed,
            "milliseconds": speed,
        },
        goals,
    )
    return 0


def _judged(path: Path) -> tuple[dict[str, list[float]], list[str]]:
    """The share of each template's fillings that are found, by category and language; what was wrong, in words."""
    shares: defaultdict[str, list[float]] = defaultdict(list)
    wrong: list[str] = []
    for category, language, fillings in _templates(path):
        hits = [_is_found(text, category) for text in fillings]
        share = sum(hits) / len(hits)
        group = "false alarms" if category == BENIGN else "recall"
        for name in {group, f"{group} {language}", f"{group} {category}".removesuffix(f" {BENIGN}")}:
            shares[name].append(share)
        if (share > 0) == (category == BENIGN) or 0 < share < 1:
            example = next(text for text, hit in zip(fillings, hits, strict=True) if hit == (category == BENIGN))
            wrong.append(f"{category} {language} {share:.0%}: {example}")
    return dict(shares), wrong


def _compared(alarms: float) -> float:
    """The recall of a classifier of n-grams whose threshold gives as many false alarms on the evaluation itself."""
    tuning = [(text, category != BENIGN, 4 / len(texts)) for category, _, texts in _templates(TUNING) for text in texts]
    classifier = Classifier(tuning)
    means: dict[bool, list[float]] = {True: [], False: []}
    for category, _, texts in _templates(FAMILY):
        means[category != BENIGN].append(sum(map(classifier.score, texts)) / len(texts))
    threshold = sorted(means[False], reverse=True)[round(alarms * len(means[False]))]
    return round(sum(one > threshold for one in means[True]) / len(means[True]), 4)


def _is_found(text: str, category: str) -> bool:
    found = {one.value for _, _, one, score in scored(text, HarmCategory) if score >= THRESHOLD}
    return bool(found) if category == BENIGN else category in found


def _templates(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("//")]
    slots = {line.split("\t")[0]: line.split("\t")[1:] for line in lines if line.startswith("{")}
    draw = random.Random(SEED)
    for line in lines:
        if not line.startswith("{"):
            category, language, template = line.split("\t")
            filled = [SLOT.sub(lambda slot: draw.choice(slots[slot.group()]), template) for _ in range(FILLINGS)]
            yield category, language, sorted(set(filled))


def _share(values: list[float]) -> dict[str, Any]:
    """The mean with Wilson's interval, templates as trials."""
    count, mean = len(values), sum(values) / len(values)
    middle = (mean + Z * Z / (2 * count)) / (1 + Z * Z / count)
    half = Z / (1 + Z * Z / count) * math.sqrt(mean * (1 - mean) / count + Z * Z / (4 * count * count))
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return {"share": round(mean, 4), "low": round(low, 4), "high": round(high, 4), "templates": count}


def _texts() -> list[tuple[str, str, int]]:
    return [(name, text, size) for name, text in (("plain", PLAIN), ("sharp", SHARP)) for size in (4096, 16384)]


def _milliseconds(text: str, size: int) -> float:
    said = (text * (size // len(text) + 1))[:size]
    started = time.process_time()
    for _ in range(10):
        scored(said, HarmCategory)
    return round((time.process_time() - started) * 100, 3)


if __name__ == "__main__":
    raise SystemExit(main())
