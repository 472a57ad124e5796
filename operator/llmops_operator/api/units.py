"""Quantities and durations in Kubernetes' forms, as numbers."""

from __future__ import annotations

import re
from decimal import Decimal

QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"

_DURATION_PART = re.compile(r"([0-9.]+)(ms|s|m|h)")
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([a-zA-Z]*)")
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_FACTORS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGT", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGT", start=1)},
}


def to_seconds(duration: str) -> float:
    """Seconds of a duration such as 250ms, 10s or 1h30m; raises ValueError for anything else."""
    if not re.fullmatch(DURATION_PATTERN, duration):
        raise ValueError(f"{duration!r} is not a duration such as 250ms, 10s or 1h30m")
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(duration)))


def to_number(quantity: str) -> Decimal:
    """The number that a quantity such as 500m, 8 or 64Gi stands for; raises ValueError for anything else."""
    found = _QUANTITY.fullmatch(quantity)
    if found is None or found[2] not in _FACTORS:
        raise ValueError(f"{quantity!r} is not a quantity such as 500m, 8 or 64Gi")
    return Decimal(found[1]) * _FACTORS[found[2]]


def to_bytes(quantity: str) -> int:
    """Bytes of a quantity such as 256Mi; raises ValueError for what is no quantity."""
    return int(to_number(quantity))
