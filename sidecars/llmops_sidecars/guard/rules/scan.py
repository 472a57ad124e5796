"""RE2, as the rules use it: linear time whatever the pattern and the text, and all patterns in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import re2

MEMORY = 8 << 20
"""Bytes that one compiled set may take."""


def options() -> Any:
    """Quiet: a refused pattern is an exception, not a line on standard error."""
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.max_mem = MEMORY
    return chosen


class PatternSet:
    """Named patterns, searched together; only those that occur are searched again for their places."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        """Compile; raises re2.error for a pattern that RE2 refuses."""
        self._names = list(patterns)
        self._patterns = [re2.compile(pattern, options()) for pattern in patterns.values()]
        self._set = re2.Set.SearchSet(options())
        for pattern in patterns.values():
            self._set.Add(pattern)
        self._set.Compile()

    def places(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Name, start and end of every occurrence that is not empty, in characters."""
        for index in self._set.Match(text) or ():
            for match in self._patterns[index].finditer(text):
                if match.end() > match.start():
                    yield self._names[index], match.start(), match.end()
