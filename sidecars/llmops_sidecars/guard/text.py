"""One text of an answer: what the engine says of it in, what may leave of it out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import msgspec

from llmops_sidecars.contract import StreamWindow
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.probabilities import Probabilities, altered, size
from llmops_sidecars.guard.rules.finding import Size
from llmops_sidecars.guard.vault import Restorer, Vault
from llmops_sidecars.guard.verdict import Counts, consult, decide, locate
from llmops_sidecars.guard.window import Release, WholeText, Window
from llmops_sidecars.openai.answers import TokenLogprob
from llmops_sidecars.openai.errors import engine_failed
from llmops_sidecars.openai.terms import Terms

MOST_CHARACTERS = 4 * 1024 * 1024
"""Of an answer that is put together before it leaves."""


class Leaving(NamedTuple):
    """What may leave of a text now. `blocked_by`: the rule that ended it.

    `judged`: the text before values came back to it; `ranks`: what the tokens of each rank say that leave with it.
    """

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    blocked_by: str | None = None
    judged: str = ""
    ranks: tuple[str, ...] = ()


@dataclass
class Judging:
    """What all texts of one answer share: how they are judged, and what has been found. `logprobs`: they are wanted.

    `keeps`: so is the beginning of the content, by auditors. `waited`: how long each rule took that was waited for.
    """

    rules: Rules
    bounds: StreamWindow
    streams: bool
    vault: Vault | None = None
    terms: Terms = field(default_factory=Terms)
    logprobs: bool = False
    keeps: bool = False
    counts: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    errors: list[str] = field(default_factory=list)
    waited: list[tuple[str, float]] = field(default_factory=list)
    collected: int = 0
    checked: int = 0
    """Characters that rules have looked at."""

    def whole(self, rules: Rules) -> bool:
        """Whether a text under these rules leaves when it is whole, because a rule or the client wants it so."""
        return not self.streams or rules.whole or self.rules.waits

    def window(self, rules: Rules) -> Window | WholeText:
        """The window of a new text under these rules."""
        return WholeText(rules, self.vault) if self.whole(rules) else Window(rules, self.bounds, self.vault)

    def require_room(self, characters: int, rules: Rules) -> None:
        """Bound what is collected, under all rules together; raises ApiError."""
        self.collected += characters if self.whole(rules) else 0
        if self.collected > MOST_CHARACTERS:
            advice = "checked in one piece." if self.streams else "sent in one piece; stream it."
            raise engine_failed(f"The model's answer is too long to be {advice}")

    def account(self, release: Release) -> None:
        """Count what was looked at, and what was found."""
        self.checked += release.checked
        self._found(release.counts, release.errors)

    async def locate(self, texts: Iterable[str]) -> None:
        """Have what takes long found in texts, before they are judged; raises RuleError."""
        self.waited += await locate(texts, self.rules)

    async def consulted(self, texts: Iterable[str]) -> str | None:
        """Wait for the rules that want all texts of the answer: the one that blocks it, if any; raises RuleError."""
        findings = await consult(Size(0, tuple(dict.fromkeys(texts))), self.rules)
        self.waited += findings.seconds
        verdict = decide("", findings)
        self._found(verdict.counts, verdict.errors)
        return verdict.blocked_by

    def _found(self, counts: Counts, errors: Iterable[str]) -> None:
        for place, count in counts.items():
            self.counts[place] += count
        self.errors += errors


class GuardedText:
    """One text, under the rules for it. `encode` fits what comes back from the vault to where it is put."""

    def __init__(self, judging: Judging, rules: Rules, encode: Callable[[str], str] = str) -> None:
        """Start empty."""
        self._judging, self._rules, self._encode = judging, rules, encode
        self._window = judging.window(rules)
        self._restorer: Restorer | None = None
        self._probabilities: Probabilities | None = None
        self._came = self._left = 0

    @property
    def due(self) -> float | None:
        """When `tick` has something to do."""
        if self._probabilities is None:
            return self._window.due
        return min((due for due in (self._window.due, self._probabilities.due) if due is not None), default=None)

    @property
    def holds(self) -> bool:
        """Whether something has come that has not left."""
        return self._window.holds or (self._restorer is not None and self._restorer.holds)

    @property
    def texts(self) -> list[str]:
        """What has come and is to be judged: the text, and what its tokens say."""
        return [self._window.text, *(self._probabilities.texts if self._probabilities is not None else ())]

    def push(self, text: str, now: float, logprobs: Sequence[TokenLogprob] = ()) -> Leaving:
        """Take more; raises ApiError when it is too much, RuleError when a rule cannot run."""
        self._judging.require_room(len(text), self._rules)
        self._came += len(text)
        if logprobs:
            self._push_logprobs(logprobs, now)
        return self._leaving(self._window.push(text, now))

    def tick(self, now: float) -> Leaving:
        """Let what has been held long enough go."""
        if self._probabilities is not None:
            self._probabilities.tick(now)
        return self._leaving(self._window.push("", now))

    def flush(self) -> Leaving:
        """The text has ended."""
        ranks = self._probabilities.flush() if self._probabilities is not None else ()
        leaving = self._leaving(self._window.flush())
        rest = self._restorer.flush() if self._restorer is not None and leaving.blocked_by is None else ""
        return leaving._replace(text=leaving.text + rest, ranks=ranks if leaving.logprobs else ())

    def _push_logprobs(self, logprobs: Sequence[TokenLogprob], now: float) -> None:
        self._judging.require_room(size(logprobs), self._rules)
        if self._probabilities is None:
            self._probabilities = Probabilities(partial(self._judging.window, self._rules))
        self._probabilities.push(logprobs, self._came, now)

    def _leaving(self, release: Release) -> Leaving:
        self._judging.account(release)
        text, vault = release.text, self._judging.vault
        restores = vault is not None and not vault.empty
        logprobs: tuple[TokenLogprob, ...] = ()
        if self._probabilities is not None:
            self._left += len(text)
            if restores or altered(release):
                self._probabilities.stop()
            logprobs = self._probabilities.leaving(self._left)
        if vault is not None and restores and text:
            if self._restorer is None:
                self._restorer = Restorer(vault, self._encode)
            text = self._restorer.push(text)
        return Leaving(text, logprobs, release.blocked_by, release.text)


class GuardedName:
    """The name of a call: short, and held until it is whole."""

    def __init__(self, judging: Judging) -> None:
        """Start empty."""
        self._judging, self._rules = judging, judging.rules.beside_content
        self._whole = WholeText(self._rules, judging.vault)
        self.told = False

    @property
    def texts(self) -> list[str]:
        """What has come."""
        return [self._whole.text]

    def push(self, name: str, now: float) -> None:
        """Take more; raises ApiError when it is too much."""
        self._judging.require_room(len(name), self._rules)
        self._whole.push(name, now)

    def flush(self) -> Leaving:
        """The name is whole; raises RuleError."""
        self.told = True
        release, vault = self._whole.flush(), self._judging.vault
        self._judging.account(release)
        text = release.text if vault is None else vault.restored(release.text)
        return Leaving(text, (), release.blocked_by, release.text)


def json_text(value: str) -> str:
    """A value as it stands inside a JSON string."""
    return msgspec.json.encode(value).decode()[1:-1]
