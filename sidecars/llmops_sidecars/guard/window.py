"""The window of a stream: text leaves only after it has stood inside a checked window, and in time.

    context (released) | held: checked, may still become part of something | arriving
                       ^ cut                                               ^ end

The context is at least 64 characters, more where a rule wants it, and a tail may have as many. The cut moves right for
two reasons: at most `hold_back_characters` are held, and for `hold_back_seconds` at most. Age moves it no further than
the tail, which may be the beginning of something (a word, a number, an account in groups that touches the end, what a
rule says besides); number does, but for what has been found: that is held until it has ended, since its mask is all
that will ever leave of it. What ends in the tail is not certain yet: a card number may turn out to be a longer number.
Masks are put in before release. After a block nothing leaves any more.

Text is looked at in steps, not with every token: once a bound is reached, as much leaves as leaves room for a tenth
of it again. So an author's pattern of several words is seen whole as long as the words come within nine tenths of
`hold_back_seconds` and `hold_back_characters`: the first ones are released then, without what follows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import re2

from llmops_sidecars.contract import Action, StreamWindow
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.rules.finding import Finding
from llmops_sidecars.guard.rules.scan import LETTERS, options, plain
from llmops_sidecars.guard.vault import Vault
from llmops_sidecars.guard.verdict import Counts, Findings, count, decide, examine, mask, name, outside

CONTEXT = 64
"""Characters of released text that rules see at least, for word boundaries and what began there."""

LEAST_TAIL = 64
"""Characters of a tail that are held even when fewer would be: a phone number, an account; a rule may want more."""

ROOM = 0.1
"""The share of a bound that is free again after a step."""

MOST_HELD = 8192
"""Characters of one finding that are waited for; a longer one ends the answer, also where it would be masked."""

TAIL = re2.compile(
    rf"(?:-----BEGIN[A-Z0-9 ]{{0,40}}-{{0,5}}"
    rf"|\b[A-Za-z]{{2}}\d{{2}}[A-Za-z0-9 \-]{{0,44}}"
    r"|[+(\d][\d ().\-/\t]{0,40}"
    rf"|[!-~\d{LETTERS}\p{{Cf}}\p{{Mn}}]+)$",
    options(),
)
"""What the end of a text may be the beginning of: a private key, an IBAN or a number in groups, a word."""


@dataclass(frozen=True)
class Release:
    """What may leave now; it prints without the text. `blocked_by`: the rule that ended the stream.

    `checked`: how many characters rules have looked at for it that they had not seen before.
    """

    text: str = field(default="", repr=False)
    blocked_by: str | None = None
    counts: Counts = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    checked: int = 0


class Window:
    """One text of a streamed answer. Times are seconds of any clock that does not go back.

    Placeholders of the `vault` are the guard's own words: rules have no say in what stands within one.
    """

    def __init__(self, rules: Rules, bounds: StreamWindow, vault: Vault | None = None) -> None:
        """Start empty."""
        self._rules, self._bounds, self._vault = rules, bounds, vault
        self._most_tail = max(bounds.hold_back_characters, LEAST_TAIL, rules.context, rules.longest_tail)
        self._most_context = max(CONTEXT, rules.context)
        self._context, self._held = "", ""
        self._arrivals: deque[tuple[float, int]] = deque()
        self._aged = self._seen = 0
        self._blocked_by: str | None = None

    @property
    def due(self) -> float | None:
        """When time alone may let more go; None while only more text can change anything."""
        place = 0
        for arrived, length in self._arrivals:
            place += length
            if place > self._aged:
                return arrived + self._bounds.hold_back_seconds
        return None

    @property
    def holds(self) -> bool:
        """Whether something has come that has not left."""
        return bool(self._held)

    @property
    def text(self) -> str:
        """What has come and has not left."""
        return self._held

    def push(self, text: str, now: float) -> Release:
        """Take more text, or none, to let time do its work; raises RuleError, which is the window's end."""
        if self._blocked_by is not None:
            return Release(blocked_by=self._blocked_by)
        if not self._rules.checks:
            return Release(text)
        if text:
            self._held += text
            self._arrivals.append((now, len(text)))
        self._aged = self._count_aged(now)
        wanted = max(self._aged, self._count_surplus())
        if wanted <= 0:
            return Release()
        tail = self._tail()
        cut = min(wanted, max(tail, len(self._held) - self._most_tail))
        return self._advance(cut, min(tail, len(self._held) - 1)) if cut > 0 else Release()

    def flush(self) -> Release:
        """The text has ended: release or block what is left."""
        if self._blocked_by is not None:
            return Release(blocked_by=self._blocked_by)
        return self._advance(len(self._held), len(self._held))

    def _count_surplus(self) -> int:
        """How many characters are too many, with room for the next ones once there are any."""
        most = self._bounds.hold_back_characters
        return len(self._held) - int(most * (1 - ROOM)) if len(self._held) > most else 0

    def _count_aged(self, now: float) -> int:
        """How many characters have been held long enough, with those that nearly have once there are any."""
        if not self._arrivals or now - self._arrivals[0][0] < self._bounds.hold_back_seconds:
            return 0
        aged, enough = 0, self._bounds.hold_back_seconds * (1 - ROOM)
        for arrived, length in self._arrivals:
            if now - arrived < enough:
                break
            aged += length
        return aged

    def _tail(self) -> int:
        """Where the tail begins."""
        text, before = plain(self._context + self._held), len(self._context)
        found = TAIL.search(text[before:])
        begins = len(text) if found is None else before + int(found.start())
        unfinished = 0 if self._vault is None else self._vault.pending(self._held)
        return max(min((begins, len(text) - unfinished, *(tail(text) for tail in self._rules.tails))) - before, 0)

    def _advance(self, cut: int, settled: int) -> Release:
        """Check all, and release up to `cut` or to where a finding or a block allows it.

        A finding that ends after `settled` may still change.
        """
        findings = _examined(self._context + self._held, self._rules, self._vault)
        before = len(self._context)
        places = [_moved(place, before) for place in findings.places if place.end > before]
        cut, blocking = self._decide(cut, settled, places)
        leaving = [place for place in places if place.end <= cut and place is not blocking]
        reported = [place for place in findings.reported if before < place.end <= before + cut]
        text, checked = mask(self._held[:cut], leaving), len(self._held) - self._seen
        self._drop(cut)
        if blocking is not None:
            self._blocked_by = name(blocking)
            leaving.append(blocking)
        return Release(text, self._blocked_by, count((*leaving, *reported)), findings.errors, checked)

    def _decide(self, cut: int, settled: int, places: Sequence[Finding]) -> tuple[int, Finding | None]:
        """Where to cut so that no finding is cut in two, and what blocks, if something does."""
        for place in places:
            if place.end > settled:
                most = self._most_tail if place.action is Action.BLOCK else max(MOST_HELD, self._most_tail)
                return (place.start, place) if len(self._held) - place.start > most else (min(cut, place.start), None)
            if place.action is Action.BLOCK:
                return place.start, place
            if place.start < cut < place.end:
                cut = place.start
        return cut, None

    def _drop(self, cut: int) -> None:
        """Forget what has left, but for the context."""
        self._context = (self._context + self._held[:cut])[-self._most_context :]
        self._held = self._held[cut:]
        self._seen = len(self._held)
        self._aged = max(self._aged - cut, 0)
        while cut > 0 and self._arrivals:
            arrived, length = self._arrivals.popleft()
            if length > cut:
                self._arrivals.appendleft((arrived, length - cut))
            cut -= length


class WholeText:
    """A text of an answer that does not stream: it is judged at its end, all of it. The interface is a window's."""

    due = None

    def __init__(self, rules: Rules, vault: Vault | None = None) -> None:
        """Start empty."""
        self._rules, self._vault = rules, vault
        self._pieces: list[str] = []

    @property
    def holds(self) -> bool:
        """Whether something has come that has not left."""
        return bool(self._pieces)

    @property
    def text(self) -> str:
        """What has come."""
        return "".join(self._pieces)

    def push(self, text: str, _now: float) -> Release:
        """Take more text."""
        self._pieces.append(text)
        return Release()

    def flush(self) -> Release:
        """The text has ended; raises RuleError."""
        text, self._pieces = "".join(self._pieces), []
        if not text:
            return Release()
        verdict = decide(text, _examined(text, self._rules, self._vault))
        checked = len(text) if self._rules.checks else 0
        return Release(verdict.text, verdict.blocked_by, verdict.counts, verdict.errors, checked)


def _examined(text: str, rules: Rules, vault: Vault | None) -> Findings:
    """What rules find outside of placeholders; raises RuleError."""
    findings = examine(text, rules)
    return findings if vault is None else outside(findings, vault.places(text))


def _moved(place: Finding, before: int) -> Finding:
    """A place in the held text; what began in the context begins at its edge."""
    return place._replace(start=max(place.start - before, 0), end=place.end - before)
