"""The answer on its way back: chunks of the cache in, what may leave out.

Each choice goes its own way: a block of one ends it, and the others go on. What is of another shape (a choice that
nobody asked for, for one) is refused: it would pass by the rules.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import groupby

from llmops_sidecars.guard.choice import GuardedChoice
from llmops_sidecars.guard.text import Judging
from llmops_sidecars.openai.answers import Chunk, ChunkChoice, Delta, Logprobs, Usage
from llmops_sidecars.openai.errors import engine_failed


class GuardedAnswer:
    """The answer to one request for `choices` choices, which clients know by numbers from `first` on."""

    def __init__(self, judging: Judging, *, choices: int = 1, first: int = 0) -> None:
        """Start empty."""
        self.judging = judging
        self._choices = [GuardedChoice(first + number, judging) for number in range(choices)]
        self._open = list(self._choices)
        self.created = int(time.time())
        self.usage = Usage()

    @property
    def due(self) -> float | None:
        """When `tick` has something to do."""
        if len(self._open) == 1:
            return self._open[0].due
        dues = (choice.due for choice in self._open)
        return min((due for due in dues if due is not None), default=None)

    @property
    def blocked_by(self) -> str | None:
        """The rule that ended a choice, if one did."""
        return next((choice.blocked_by for choice in self._choices if choice.blocked_by is not None), None)

    @property
    def complete(self) -> bool:
        """Whether it is known of every choice why it ended."""
        return all(choice.finish_reason is not None for choice in self._open)

    @property
    def over(self) -> bool:
        """Whether nothing that comes could leave any more: every choice still open was blocked."""
        if len(self._open) == 1:
            return self._open[0].blocked_by is not None
        return all(choice.blocked_by is not None for choice in self._open)

    @property
    def kept(self) -> list[str]:
        """The beginnings of the contents, for auditors: without the values that came back."""
        return [choice.kept for choice in self._choices if choice.kept]

    def push(self, chunk: Chunk, now: float) -> list[ChunkChoice]:
        """Take a chunk; raises ApiError for one of unknown shape, RuleError when a rule cannot run."""
        self.created, self.usage = chunk.created or self.created, chunk.tokens or self.usage
        leaving: list[ChunkChoice] = []
        for given in chunk.choices:
            if not 0 <= given.index < len(self._choices):
                raise engine_failed("The model's answer has an event of unknown shape.")
            choice = self._choices[given.index]
            if choice not in self._open:
                continue
            leaving += choice.push(given, now)
            if choice.finish_reason is not None and len(self._open) > 1 and not self.judging.rules.waits:
                self._open.remove(choice)
                leaving += choice.end()
        return leaving

    def tick(self, now: float) -> list[ChunkChoice]:
        """Let what has been held long enough go."""
        return [leaving for choice in self._open for leaving in choice.tick(now)]

    async def end(self) -> list[ChunkChoice]:
        """What is left, and the ends of the choices that have not been told yet; raises ApiError and RuleError.

        Where a rule has to be waited for, nothing has left yet: it sees all texts of all choices, or no choice leaves.
        """
        judging = self.judging
        if judging.rules.locating:
            await judging.locate(text for choice in self._open for text in choice.texts)
        leaving = [leaving for choice in self._open for leaving in choice.end()]
        if judging.rules.locating and judging.keeps:
            await judging.locate(self.kept)  # auditors read what is left after masks, and only that
        shown = [text for choice in self._open for text in choice.shown]
        blocked_by = await judging.consulted(shown) if shown else None
        return leaving if blocked_by is None else [choice.withdrawn(blocked_by) for choice in self._open]


def joined(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The chunks of one read; neighbours that only go on with the content of a choice are one, judged together."""
    for going_on, group in groupby(chunks, _going_on):
        same = list(group)
        if going_on is None or len(same) == 1:
            yield from same
        else:
            created, index = going_on
            said = "".join(chunk.choices[0].delta.content or "" for chunk in same)
            yield Chunk(created=created, choices=(ChunkChoice(index, Delta(content=said)),))


def _going_on(chunk: Chunk) -> tuple[int, int] | None:
    """When a chunk was made and the number of its choice, where it only goes on with the content of one."""
    if len(chunk.choices) != 1 or chunk.tokens is not None:
        return None
    choice = chunk.choices[0]
    other = choice.delta.refusal or choice.delta.tool_calls or choice.finish_reason
    goes_on = choice.delta.content and not other and not isinstance(choice.logprobs, Logprobs)
    return (chunk.created, choice.index) if goes_on else None
