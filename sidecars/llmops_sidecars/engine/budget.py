"""How many requests may be sent twice, so that trying again never becomes the load that keeps an engine down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

SHARE = 0.2
"""Of the requests may be repeated: that bounds what reaches the engine at 1.2 times what clients send."""

RESERVE = 3.0
"""Repetitions that are there at the beginning, and that may be saved up however few requests there are."""


class RetryBudget:
    """Each request brings a fifth of a repetition; as many are saved as a fifth of the requests under way, or three."""

    def __init__(self) -> None:
        self._saved = RESERVE
        self._active = 0

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Count a request as long as it is under way."""
        self._active += 1
        self._saved = min(self._saved + SHARE, max(RESERVE, SHARE * self._active))
        try:
            yield
        finally:
            self._active -= 1

    def take(self) -> bool:
        """Take one repetition; whether there was one."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
