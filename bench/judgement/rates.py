"""Figures of detection: rates with their 95 % intervals, F2, and times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

Z = 1.959963985
"""Of the normal distribution, for 95 %."""


def rate(hits: Iterable[float]) -> dict[str, Any]:
    """A share with its Wilson interval (Wilson 1927), and of how many; each is a hit, none, or the share of several."""
    told = list(hits)
    count, positive = len(told), sum(told)
    if not count:
        return {"rate": None, "low": None, "high": None, "of": 0}
    share = positive / count
    middle = (share + Z * Z / (2 * count)) / (1 + Z * Z / count)
    half = Z / (1 + Z * Z / count) * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    return {
        "rate": round(share, 4),
        "low": round(max(middle - half, 0.0), 4),
        "high": round(min(middle + half, 1.0), 4),
        "of": count,
    }


def f_measure(found: int, missed: int, false: int, weight: float = 2.0) -> float:
    """F of precision and recall; recall counts `weight` times as much (van Rijsbergen)."""
    weighted = weight * weight
    below = (1 + weighted) * found + weighted * missed + false
    return round((1 + weighted) * found / below, 4) if below else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not surpass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]
