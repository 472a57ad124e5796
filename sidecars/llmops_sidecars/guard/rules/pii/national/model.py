"""What is told of a national id: how it is written, its check, and the words beside which alone it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llmops_sidecars.contract import Country

Valid = Callable[[str], bool]
"""Whether the characters of an id, without what separates them and in upper case, are one."""


@dataclass(frozen=True)
class Numeric:
    """An id of digits. A layout is an id with 9 in the place of every digit.

    In the layouts `alone` it counts wherever it stands, in those `beside` only beside one of the `words`: what too many
    other numbers look like, or what a weak check lets pass.
    """

    country: Country
    valid: Valid
    alone: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lettered:
    """An id with letters in it, as a pattern; with `words`, it counts beside one of them only.

    `before`: what the id has before the pattern, where that could be any word or number: to look for that everywhere
    takes long.
    """

    country: Country
    pattern: str
    valid: Valid
    words: tuple[str, ...] = ()
    before: str = ""
