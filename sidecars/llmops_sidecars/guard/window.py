"""The window of a stream: text leaves only after it has stood inside a checked window, and in time.

    released | held: checked, may still become part of something | arriving
             ^ cut                                               ^ end

The cut moves right by two bounds: never more than `hold_back_characters` are held, and nothing longer than
`hold_back_seconds`. It moves left of anything found and of what may go on (a word, a number, an address that touches
the end), up to MOST_HELD characters. Masks are put in before release. After a block nothing leaves any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import re2

from llmops_sidecars.contract import StreamWindow
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.rules.finding import Finding
from llmops_sidecars.guard.rules.scan import options
from llmops_sidecars.guard.verdict import count, examine, mask

CONTEXT = 64
"""Characters of released text that rules still see, for word boundaries and what began there."""

MOST_HELD = 8192
"""Characters that are held at most, whatever they look like; a longer word is released as it is checked."""

UNFINISHED = re2.compile(r"(?:[\d+(][\d\s().\-/]{0,63}|\S+)$", options())
"""What the end of a text may be the beginning of: a number in groups, or a word."""


@dataclass(frozen=True)
class Release:
    """What may leave now; it prints without the text. `blocked_by`: the rule that ended the stream."""

    text: str = field(default="", repr=False)
    blocked_by: str | None = None
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    errors: int = 0


class Window:
    """One text of one answer. Times are seconds of any clock that does not go back."""

    def __init__(self, rules: Rules, bounds: StreamWindow) -> None:
        """Start empty."""
        self._rules, self._bounds = rules, bounds
        self._context, self._held = "", ""
        self._arrivals: deque[tuple[float, int]] = deque()
        self._blocked_by: str | None = None

    @property
    def due(self) -> float | None:
        """When something that is held has been held long enough; None while nothing is."""
        return self._arrivals[0][0] + self._bounds.hold_back_seconds if self._arrivals else None

    def push(self, text: str, now: float) -> Release:
        """Take more text, or none, to let time do its work; raises RuleError, which is the window's end."""
        if self._blocked_by is not None:
            return Release(blocked_by=self._blocked_by)
        if not self._rules.find:
            return Release(text)
        if text:
            self._held += text
            self._arrivals.append((now, len(text)))
        return self._advance(self._overdue(now))

    def flush(self) -> Release:
        """The text has ended: release or block what is left."""
        if self._blocked_by is not None:
            return Release(blocked_by=self._blocked_by)
        return self._advance(len(self._held), final=True)

    def _overdue(self, now: float) -> int:
        """How many characters have to go, by number or by age."""
        aged = 0
        for arrived, length in self._arrivals:
            if now - arrived < self._bounds.hold_back_seconds:
                break
            aged += length
        return max(aged, len(self._held) - self._bounds.hold_back_characters)

    def _advance(self, cut: int, *, final: bool = False) -> Release:
        if cut <= 0:
            return Release()
        before = len(self._context)
        findings = examine(self._context + self._held, self._rules)
        places = [place for place in findings.places if place.end > before]
        blocking = next((place for place in places if place.action == "Block"), None)
        if blocking is not None:
            self._blocked_by = blocking.rule
            cut = max(blocking.start - before, 0)
        elif not final:
            cut = self._safe(cut, places, before)
        leaving = [_moved(place, before) for place in places if place.start - before < cut and place is not blocking]
        text = mask(self._held[:cut], leaving)
        self._drop(cut)
        counted = [*leaving, *([blocking] if blocking else [])]
        return Release(text, self._blocked_by, count(counted), findings.errors)

    def _safe(self, cut: int, places: list[Finding], before: int) -> int:
        """Move the cut left of what it would cut in two, unless far too much is held already."""
        if len(self._held) > MOST_HELD:
            return cut
        end = len(self._held)
        unfinished = UNFINISHED.search(self._held)
        if unfinished is not None:
            cut = min(cut, _word_start(self._held, unfinished.start()))
        for place in reversed(places):
            start, stop = place.start - before, place.end - before
            if start < cut < stop or stop == end:
                cut = min(cut, max(start, 0))
        return cut

    def _drop(self, cut: int) -> None:
        """Forget what has left, but for the context."""
        self._context = (self._context + self._held[:cut])[-CONTEXT:]
        self._held = self._held[cut:]
        while cut > 0 and self._arrivals:
            arrived, length = self._arrivals.popleft()
            if length > cut:
                self._arrivals.appendleft((arrived, length - cut))
            cut -= length


def _word_start(text: str, position: int) -> int:
    while position > 0 and not text[position - 1].isspace():
        position -= 1
    return position


def _moved(place: Finding, before: int) -> Finding:
    """A place in the held text; what began in the context begins at its edge."""
    return Finding(max(place.start - before, 0), place.end - before, place.rule, place.label, place.action)
