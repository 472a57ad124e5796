"""Print the goals of all benchmarks as one table, unmet first: `python -m tools.goals`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "bench" / "results"
COLUMNS = ("met", "benchmark", "goal", "measured", "wanted", "when")


def rows(results: Path) -> list[tuple[str, ...]]:
    """One row a goal, the unmet first, then by benchmark and name."""
    found = []
    for path in sorted(results.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        found += [(goal["met"], document["name"], goal["name"], _row(document, goal)) for goal in document["goals"]]
    return [row for *_, row in sorted(found)]


def table(lines: list[tuple[str, ...]]) -> str:
    """Align the columns under their names."""
    widths = [max(len(line[i]) for line in (COLUMNS, *lines)) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in (COLUMNS, *lines))


def main() -> int:
    """Print the table; a missed goal is a fact, not a failure of this command."""
    print(table(rows(RESULTS)))
    return 0


def _row(document: dict[str, Any], goal: dict[str, Any]) -> tuple[str, ...]:
    measured = f"{goal['value']:g} {goal['unit']}"
    return (
        "yes" if goal["met"] else "NO",
        document["name"],
        goal["name"],
        measured,
        goal["goal"],
        document["measured"][:10],
    )


if __name__ == "__main__":
    raise SystemExit(main())
