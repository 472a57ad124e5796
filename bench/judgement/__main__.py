"""How well the rules judge, on texts that nothing was tuned on: `make bench-judgement`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from bench.judgement import injection, pii, speed, tables
from bench.report import RESULTS, Goal, write

NAME = "judgement"


def main() -> int:
    """Measure, write the results and the tables; a missed goal is a fact, not a failure of this command."""
    parser = argparse.ArgumentParser(prog="bench.judgement", description=__doc__)
    parser.add_argument(
        "--tables", action="store_true", help="write the tables of docs/judgement.md again, and that is all"
    )
    if not parser.parse_args().tables:
        figures = {part.__name__.rpartition(".")[2]: _timed(part) for part in (speed, pii, injection)}
        write(NAME, figures, goals(figures))
    tables.write(json.loads((RESULTS / f"{NAME}.json").read_text(encoding="utf-8")))
    return 0


def _timed(part: Any) -> dict[str, Any]:
    start = time.monotonic()
    figures: dict[str, Any] = part.measure()
    print(f"{part.__name__}: {time.monotonic() - start:.0f} s", flush=True)
    return figures


def goals(figures: dict[str, Any]) -> list[Goal]:
    """What was wanted of them."""
    attacks, data, times = figures["injection"], figures["pii"], figures["speed"]
    recall, over = attacks["recall"], attacks["over-defence"]
    theirs = data["presidio"]["f2"]
    return [
        Goal("injection: attacks found, raw", _percent(recall["by form"]["raw"]), "%", ">= 85"),
        Goal("injection: attacks found, wrapped", _percent(recall["by form"]["wrapped"]), "%", ">= 85"),
        Goal("injection: false alarms", _percent(attacks["false alarms"]["ordinary"]), "%", "<= 1"),
        Goal("injection: over-defence", _percent(over[injection.OVER_DEFENCE]), "%", "<= 10"),
        Goal("injection: p99 of 512 tokens", times["injection, 512 tokens"]["p99_ms"], "ms", "<= 20"),
        Goal("structured pii: F2, and Presidio's", data["pii"]["f2"], "", f">= {theirs}"),
        Goal("structured pii: share of Presidio's time", round(100 * data["share of its time"], 2), "%", "<= 5"),
        Goal("rule stage: p50 of 16 KB", times["rules, 16 KB of prose"]["all"]["p50_ms"], "ms", "<= 0.3"),
    ]


def _percent(one: dict[str, Any]) -> float:
    return round(100 * float(one["rate"]), 2)


if __name__ == "__main__":
    sys.exit(main())
