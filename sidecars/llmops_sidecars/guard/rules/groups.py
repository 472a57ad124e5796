"""Digits in groups, as people write long numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """Adjacent digits and where they stand."""

    start: int
    end: int
    digits: str


def groups_of(text: str, start: int, end: int) -> list[Group]:
    """The groups of ASCII digits between two places."""
    groups, place = [], start
    while place < end:
        if "0" <= text[place] <= "9":
            first = place
            while place < end and "0" <= text[place] <= "9":
                place += 1
            groups.append(Group(first, place, text[first:place]))
        else:
            place += 1
    return groups
