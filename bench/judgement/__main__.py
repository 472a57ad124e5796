"""How well the rules judge, on texts that nothing was tuned on: `make bench-judgement`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, date, datetime
from typing import Any

from bench.judgement import harm, injection, language, leak, lists, pii, speed, tables, topics, unicode, urls
from bench.report import RESULTS, Goal, write

NAME = "judgement"
RESULT = RESULTS / f"{NAME}.json"

PARTS = {
    part.__name__.rpartition(".")[2]: part
    for part in (speed, pii, injection, harm, topics, language, unicode, urls, leak, lists)
}


def main() -> int:
    """Measure, write the results and the tables; a missed goal is a fact, not a failure of this command."""
    parser = argparse.ArgumentParser(prog="bench.judgement", description=__doc__)
    parser.add_argument(
        "--tables", action="store_true", help="write the tables of docs/judgement.md again, and that is all"
    )
    parser.add_argument(
        "part", nargs="*", help=f"measure these alone, keep what is known of others: {', '.join(PARTS)}"
    )
    options = parser.parse_args()
    if unknown := set(options.part) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    if not options.tables:
        chosen = {name: part for name, part in PARTS.items() if name in options.part or not options.part}
        former = json.loads(RESULT.read_text(encoding="utf-8"))["figures"] if options.part else {}
        figures = joined(former, {name: _timed(part) for name, part in chosen.items()}, datetime.now(UTC).date())
        write(NAME, figures, goals(figures))
    tables.write(json.loads(RESULT.read_text(encoding="utf-8")))
    return 0


def joined(former: dict[str, Any], measured: dict[str, Any], today: date) -> dict[str, Any]:
    """The figures of all parts, and under `measured` the date of each."""
    dates = former.get("measured", {}) | dict.fromkeys(measured, today.isoformat())
    every = former | measured
    known = [name for name in PARTS if name in every]
    return {name: every[name] for name in known} | {"measured": {name: dates[name] for name in known}}


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
