"""Draw the figures: `python plot.py RESULTS.json PLOT.svg`, in the bench's own environment (it has matplotlib)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

PANELS: tuple[tuple[str, Callable[[dict[str, Any]], dict[str, float] | None]], ...] = (
    ("added p50 at 100/s, ms", lambda one: one["added"].get("100/s", {}).get("p50_ms")),
    ("added p99 at 100/s, ms", lambda one: one["added"].get("100/s", {}).get("p99_ms")),
    ("requests/s on one core", lambda one: one["requests_per_second"]),
    ("streamed chunks/s on one core", lambda one: one["chunks_per_second"]),
)
WHOLE_FROM = 100
"""Figures from here on are written without a fraction."""

COLOURS = {"nothing on": "#8aa9c8", "everything on": "#23527c"}


def main() -> int:
    """Read the results and write the picture; its text stays text, so that it can be searched."""
    mpl.rcParams["svg.fonttype"] = "none"
    mpl.rcParams["svg.hashsalt"] = "gateway"
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = list(document["figures"]["contenders"].values())
    figure, axes = plt.subplots(1, len(PANELS), figsize=(15, 0.42 * len(found) + 1.2), sharey=True)
    for axis, (title, read) in zip(axes, PANELS, strict=True):
        _bars(axis, title, found, [read(one) for one in found])
    axes[0].set_yticks(range(len(found)), [f"{one['title']}, {one['features']}" for one in found])
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(sys.argv[2], metadata={"Date": None})
    return 0


def _bars(axis: Any, title: str, found: list[dict[str, Any]], spreads: list[dict[str, float] | None]) -> None:
    """One bar a contender, and a line from the lowest to the highest round.

    The scale is logarithmic, so the line begins at a tenth of the median where the lowest is less, or below nothing.
    """
    for row, (one, spread) in enumerate(zip(found, spreads, strict=True)):
        if spread is None or spread["median"] <= 0:
            continue
        axis.barh(row, spread["median"], color=COLOURS[one["features"]])
        axis.plot([max(spread["low"], spread["median"] / 10), spread["high"]], [row, row], color="black", linewidth=1)
        text = f" {spread['median']:,.0f}" if spread["median"] >= WHOLE_FROM else f" {spread['median']:.2g}"
        axis.annotate(text, (max(spread["high"], spread["median"]), row), va="center", fontsize=8)
    axis.set_xscale("log")
    axis.margins(x=0.35)
    axis.set_title(title, fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    raise SystemExit(main())
