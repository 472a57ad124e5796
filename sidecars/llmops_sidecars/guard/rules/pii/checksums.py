"""Check digits of numbers, as pure functions over strings of ASCII digits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from operator import mul

VERHOEFF_TURNS = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
"""The permutation of the digits at a place from the right, modulo 8 (J. Verhoeff, 1969)."""

PENTAGON = 5

VALUES = bytes.maketrans(b"0123456789", bytes(range(10)))
DOUBLED = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
"""What ASCII digits count, and what they count doubled, digit by digit."""


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    return (sum(digits[-2::-2].encode().translate(DOUBLED)) + sum(digits[::-2].encode().translate(VALUES))) % 10 == 0


def weighted(digits: str, weights: Sequence[int]) -> int:
    """The sum of the digits, each by its weight, as far as there are weights."""
    return sum(map(mul, digits.encode().translate(VALUES), weights))


def mod_97(number: str) -> int:
    """ISO 7064, MOD 97-10, of letters and digits, with letters as 10 to 35."""
    return int("".join(str(int(character, 36)) for character in number)) % 97


def mod_11_10(digits: str) -> bool:
    """ISO 7064, MOD 11,10: a hybrid system whose last digit checks the others."""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (product + int(digits[-1])) % 10 == 1


def verhoeff(digits: str) -> bool:
    """J. Verhoeff, Error Detecting Decimal Codes: the product of all turned digits in the group of a pentagon is 0."""
    product = 0
    for place, digit in enumerate(reversed(digits)):
        product = _pentagon(product, int(VERHOEFF_TURNS[place % 8][int(digit)]))
    return product == 0


def is_date(year: int, month: int, day: int) -> bool:
    """Whether there is such a day."""
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


def is_short_date(year: str, month: str, day: str) -> bool:
    """Whether there is such a day in some century, for a year of two digits."""
    return is_date(2000 + int(year), int(month), int(day))


def _pentagon(left: int, right: int) -> int:
    """The dihedral group of a pentagon: turns are 0 to 4, reflections 5 to 9."""
    sign = 1 if left < PENTAGON else -1
    turned = (left + sign * right) % PENTAGON
    return turned if (left < PENTAGON) == (right < PENTAGON) else turned + PENTAGON
