"""Lists that are not written down: numbers and the like."""

from __future__ import annotations

import random

from tools.injection.grammar import Make


def _digits(low: int, high: int) -> Make:
    return lambda chance: str(chance.randint(low, high))


def _hexadecimal(chance: random.Random) -> str:
    return f"{chance.getrandbits(48):012x}"


def _price(chance: random.Random) -> str:
    return f"{chance.randint(1, 900)}.{chance.randint(0, 99):02d}"


def _hour(chance: random.Random) -> str:
    return f"{chance.randint(0, 23):02d}:{chance.randint(0, 59):02d}"


def _date(chance: random.Random) -> str:
    return f"{chance.randint(2019, 2027)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"


BUILTIN: dict[str, Make] = {
    "number": _digits(13, 99999),
    "small": _digits(2, 12),
    "percent": _digits(1, 99),
    "year": _digits(1950, 2027),
    "id": _hexadecimal,
    "price": _price,
    "hour": _hour,
    "date": _date,
}
