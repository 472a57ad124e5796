"""The log probabilities of a text's tokens: they repeat it token by token, so they leave with it or never.

What was chosen and what stands at each rank of the alternatives are texts of their own, each with its own window. From
the first thing on that a rule finds in any of them, or replaces in the text itself, none are told any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from llmops_sidecars.contract import Action
from llmops_sidecars.guard.window import Release, WholeText, Window
from llmops_sidecars.openai.answers import LikelyToken, TokenLogprob
from llmops_sidecars.openai.chat import MOST_ALTERNATIVES
from llmops_sidecars.openai.errors import engine_failed

ITEM_CHARACTERS = 100
"""What a token takes beside its text, in characters, about; for bounds on what is collected."""


def altered(release: Release) -> bool:
    """Whether a text leaves otherwise than it came."""
    return release.blocked_by is not None or any(action != Action.REPORT for *_, action in release.counts)


def size(items: Iterable[TokenLogprob]) -> int:
    """What items take, in characters, about."""
    return sum(ITEM_CHARACTERS * (1 + len(item.top_logprobs)) + len(item.token) for item in items)


class Probabilities:
    """Those of one text; `window` makes the windows that its tokens pass. Places are counted in characters."""

    def __init__(self, window: Callable[[], Window | WholeText]) -> None:
        """Start empty."""
        self._window = window
        self._ranks: list[_Rank] = []
        self._held: deque[tuple[int, tuple[int, ...], TokenLogprob]] = deque()
        self.told = True
        """False once something was found: the rest stays here."""

    @property
    def due(self) -> float | None:
        """When time alone may let more go."""
        dues = [rank.window.due for rank in self._ranks if rank.window.due is not None]
        return min(dues, default=None)

    @property
    def texts(self) -> list[str]:
        """What each rank says that has not left."""
        return [rank.window.text for rank in self._ranks]

    def push(self, items: Iterable[TokenLogprob], place: int, now: float) -> None:
        """Take the items of a text that now reaches to `place`; raises RuleError when a rule cannot run."""
        for item in items:
            if len(item.top_logprobs) > MOST_ALTERNATIVES:
                raise engine_failed("The model's answer has too many alternatives for a token.")
            plain = TokenLogprob(*_plain(item), tuple(LikelyToken(*_plain(one)) for one in item.top_logprobs))
            tokens = [plain.token, *(one.token for one in plain.top_logprobs)]
            while len(self._ranks) < len(tokens):
                self._ranks.append(_Rank(self._window()))
            ends = tuple(self._ranks[number].push(token, now) for number, token in enumerate(tokens))
            self._held.append((place, ends, plain))
        self._look()

    def tick(self, now: float) -> None:
        """Let time do its work; raises RuleError."""
        for rank in self._ranks:
            rank.take(rank.window.push("", now))
        self._look()

    def flush(self) -> tuple[str, ...]:
        """The text has ended: what is left of each rank, as a text; raises RuleError."""
        left = tuple(rank.take(rank.window.flush()) for rank in self._ranks)
        self._look()
        return left

    def stop(self) -> None:
        """Tell none from now on."""
        self.told = False
        self._held.clear()

    def leaving(self, place: int) -> tuple[TokenLogprob, ...]:
        """The items of the text up to `place`, which has left, as far as they have passed too."""
        leaving = []
        while self._held and self._held[0][0] <= place and self._passed(self._held[0][1]):
            leaving.append(self._held.popleft()[2])
        return tuple(leaving)

    def _passed(self, ends: tuple[int, ...]) -> bool:
        return all(end <= rank.left for end, rank in zip(ends, self._ranks, strict=False))

    def _look(self) -> None:
        if any(rank.altered for rank in self._ranks):
            self.stop()


class _Rank:
    """The tokens of one rank, as a text."""

    def __init__(self, window: Window | WholeText) -> None:
        self.window, self.left, self.altered = window, 0, False
        self._came = 0

    def push(self, token: str, now: float) -> int:
        """Take a token; gives where it ends."""
        self._came += len(token)
        self.take(self.window.push(token, now))
        return self._came

    def take(self, release: Release) -> str:
        self.left += len(release.text)
        self.altered = self.altered or altered(release)
        return release.text


def _plain(item: LikelyToken) -> tuple[str, float, tuple[int, ...] | None]:
    """A token whose text is what its bytes say, where it has bytes: they are the same text once more."""
    if item.bytes is None:
        return item.token, item.logprob, None
    try:
        return bytes(item.bytes).decode(errors="backslashreplace"), item.logprob, item.bytes
    except ValueError as error:
        raise engine_failed("The model's answer has an event of unknown shape.") from error
