"""One text of an answer: what the engine says of it in, what may leave of it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from llmops_sidecars.contract import StreamWindow
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.probabilities import Probabilities, altered, size
from llmops_sidecars.guard.vault import Restorer, Vault
from llmops_sidecars.guard.window import Release, WholeText, Window
from llmops_sidecars.openai.answers import TokenLogprob
from llmops_sidecars.openai.errors import engine_failed
from llmops_sidecars.openai.terms import Terms

MOST_CHARACTERS = 4 * 1024 * 1024
"""Of an answer that is put together before it leaves."""


class Leaving(NamedTuple):
    """What may leave of a text now. `blocked_by`: the rule that ended it."""

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    blocked_by: str | None = None


@dataclass
class Judging:
    """What all texts of one answer share: how they are judged, and what has been found. `logprobs`: they are wanted."""

    rules: Rules
    bounds: StreamWindow
    streams: bool
    vault: Vault | None = None
    terms: Terms = field(default_factory=Terms)
    logprobs: bool = False
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    collected: int = 0

    @property
    def whole(self) -> bool:
        """Whether texts leave when they are whole, because a rule or the client wants them so; else as they come."""
        return not self.streams or self.rules.whole

    def window(self) -> Window | WholeText:
        """The window of a new text."""
        return WholeText(self.rules) if self.whole else Window(self.rules, self.bounds)

    def require_room(self, characters: int) -> None:
        """Bound what is collected; raises ApiError."""
        self.collected += characters
        if self.collected > MOST_CHARACTERS and self.whole:
            advice = "checked in one piece." if self.streams else "sent in one piece; stream it."
            raise engine_failed(f"The model's answer is too long to be {advice}")

    def account(self, release: Release) -> None:
        """Count what was found."""
        if release.counts:
            self.counts.update(release.counts)
        if release.errors:
            self.errors.update(release.errors)


class GuardedText:
    """One text. `encode` fits what comes back from the vault to where it is put."""

    def __init__(self, judging: Judging, encode: Callable[[str], str] = str) -> None:
        """Start empty."""
        self._judging, self._encode = judging, encode
        self._window = judging.window()
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

    def push(self, text: str, now: float, logprobs: Sequence[TokenLogprob] = ()) -> Leaving:
        """Take more; raises ApiError when it is too much, RuleError when a rule cannot run."""
        self._judging.require_room(len(text))
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
        if self._probabilities is not None:
            self._probabilities.flush()
        text, logprobs, blocked_by = self._leaving(self._window.flush())
        rest = self._restorer.flush() if self._restorer is not None and blocked_by is None else ""
        return Leaving(text + rest, logprobs, blocked_by)

    def _push_logprobs(self, logprobs: Sequence[TokenLogprob], now: float) -> None:
        self._judging.require_room(size(logprobs))
        if self._probabilities is None:
            self._probabilities = Probabilities(self._judging.window)
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
        return Leaving(text, logprobs, release.blocked_by)


class GuardedName:
    """The name of a call: short, and held until it is whole."""

    def __init__(self, judging: Judging) -> None:
        """Start empty."""
        self._judging, self._whole = judging, WholeText(judging.rules)
        self.told = False

    def push(self, name: str, now: float) -> None:
        """Take more; raises ApiError when it is too much."""
        self._judging.require_room(len(name))
        self._whole.push(name, now)

    def flush(self) -> Leaving:
        """The name is whole; raises RuleError."""
        self.told = True
        release, vault = self._whole.flush(), self._judging.vault
        self._judging.account(release)
        return Leaving(release.text if vault is None else vault.restored(release.text), (), release.blocked_by)


def json_text(value: str) -> str:
    """A value as it stands inside a JSON string."""
    return msgspec.json.encode(value).decode()[1:-1]
