"""Figures as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def share(one: Mapping[str, Any]) -> str:
    """A rate with its interval, in percent."""
    if not one["of"]:
        return "-"
    return f"{100 * one['rate']:.1f} ({100 * one['low']:.1f} to {100 * one['high']:.1f})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, row by row."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(one: Mapping[str, Any] | None) -> tuple[str, str]:
    """A rate, and of how many, each in a cell."""
    return (share(one), str(one["of"])) if one else ("-", "0")
