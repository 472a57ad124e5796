"""One choice of an answer: what the engine says in, what may leave out.

Content, refusal, and the name and arguments of each tool call are texts of their own. Calls are numbered, and get
their ids, here: the engine's could be any text.
"""

from __future__ import annotations

import uuid

from msgspec import UNSET, UnsetType

from llmops_sidecars.guard.text import GuardedName, GuardedText, Judging, Leaving, json_text
from llmops_sidecars.openai.answers import ChunkChoice, Delta, FunctionDelta, Logprobs, ToolCallDelta
from llmops_sidecars.openai.errors import engine_failed
from llmops_sidecars.openai.terms import Said

CONTENT_FILTER = "content_filter"
FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "function_call", CONTENT_FILTER})
"""Of the specification; providers have others, which clients do not know and which could be any text: `stop`."""

MOST_CALLS = 128
"""Of one choice: as many as a request may have tools."""

MOST_KEPT = 16 * 1024
"""Characters of the content that are kept for auditors, and what came with the last of them."""

_NO_FUNCTION = FunctionDelta()


class GuardedChoice:
    """The choice that clients know by `index`. `finish_reason` is known once it has ended, or was blocked.

    `shown`: what leaves, as the rules let it, where others are asked before it does. `kept`: the beginning of the
    content, the same way, where auditors want it.
    """

    def __init__(self, index: int, judging: Judging) -> None:
        """Start empty."""
        self.index, self._judging = index, judging
        self._content: GuardedText | None = None
        self._refusal: GuardedText | None = None
        self._waiting: list[ChunkChoice] = []
        self._calls: dict[int, _GuardedCall] = {}
        self._said = Said() if judging.terms.any else None
        self.shown: list[str] = []
        self.kept = ""
        self.blocked_by: str | None = None
        self.finish_reason: str | None = None

    @property
    def due(self) -> float | None:
        """When `tick` has something to do."""
        if self._refusal is None and not self._calls:
            return None if self._content is None else self._content.due
        texts = (self._content, self._refusal, *(call.arguments for call in self._calls.values()))
        dues = (text.due for text in texts if text is not None)
        return min((due for due in dues if due is not None), default=None)

    @property
    def texts(self) -> list[str]:
        """All that is to be judged at the end, where somebody has to be waited for."""
        parts = (self._content, self._refusal, *(part for call in self._calls.values() for part in call.parts))
        return [text for part in parts if part is not None for text in part.texts if text]

    def push(self, choice: ChunkChoice, now: float) -> list[ChunkChoice]:
        """Take what the engine says next; raises ApiError, and RuleError when a rule cannot run."""
        if self.blocked_by is not None:
            return []
        leaving: list[ChunkChoice] = []
        delta, logprobs = choice.delta, self._wanted(choice.logprobs)
        if delta.content or logprobs.content:
            if self._content is None:
                self._content = GuardedText(self._judging, self._judging.rules)
            leaving += self._of_content(self._content.push(delta.content or "", now, logprobs.content or ()))
        if delta.refusal or logprobs.refusal:
            if self._refusal is None:
                self._refusal = GuardedText(self._judging, self._judging.rules.beside_content)
            leaving += self._of_refusal(self._refusal.push(delta.refusal or "", now, logprobs.refusal or ()))
        for call in delta.tool_calls or ():
            leaving += self._behind_texts(self._add_call(call, now))
        if choice.finish_reason and self.blocked_by is None:
            self.finish_reason = choice.finish_reason if choice.finish_reason in FINISH_REASONS else "stop"
        return leaving

    def tick(self, now: float) -> list[ChunkChoice]:
        """Let what has been held long enough go."""
        leaving: list[ChunkChoice] = []
        if self._content is not None:
            leaving += self._of_content(self._content.tick(now))
        if self._refusal is not None:
            leaving += self._of_refusal(self._refusal.tick(now))
        for call in self._calls.values():
            if call.arguments is not None:
                self._waiting += self._of_arguments(call, call.arguments.tick(now))
        return leaving + self._behind_texts([])

    def end(self) -> list[ChunkChoice]:
        """The choice is whole: what is left, and why it ended; raises ApiError when it is not what was asked for."""
        leaving: list[ChunkChoice] = []
        if self._content is not None:
            leaving += self._of_content(self._content.flush())
        if self._refusal is not None:
            leaving += self._of_refusal(self._refusal.flush())
        if self.blocked_by is None:
            leaving += self._waiting
        for call in self._calls.values():
            leaving += self._end_call(call)
        if self._said is not None and self.blocked_by is None:
            self._judging.terms.conclude(self._said, self.finish_reason or "")
        return [*leaving, ChunkChoice(self.index, Delta(), self.finish_reason)]

    def withdrawn(self, blocked_by: str) -> ChunkChoice:
        """The end of a choice of which nothing may leave."""
        self.blocked_by, self.finish_reason, self.kept = blocked_by, CONTENT_FILTER, ""
        return ChunkChoice(self.index, Delta(), CONTENT_FILTER)

    def _wanted(self, logprobs: Logprobs | UnsetType | None) -> Logprobs:
        return logprobs if self._judging.logprobs and isinstance(logprobs, Logprobs) else _NO_LOGPROBS

    def _add_call(self, given: ToolCallDelta, now: float) -> list[ChunkChoice]:
        """A call's name is held until it is whole: its arguments begin, or another call, or the choice ends.

        Where somebody has to be waited for, it is judged with all else at the end.
        """
        waits = self._judging.rules.waits
        leaving: list[ChunkChoice] = []
        call = self._calls.get(given.index)
        if call is None:
            if len(self._calls) >= MOST_CALLS:
                raise engine_failed("The model's answer has too many tool calls.")
            for former in () if waits else self._calls.values():
                leaving += self._end_call(former)
            call = self._calls[given.index] = _GuardedCall(len(self._calls), self._judging)
        function = given.function or _NO_FUNCTION
        if function.name and not call.name.told and call.arguments is None:
            call.name.push(function.name, now)
        if not function.arguments:
            return leaving
        if call.number + 1 < len(self._calls):
            raise engine_failed("The model goes on with a tool call after it has begun another one.")
        if call.arguments is None:
            call.arguments = GuardedText(self._judging, self._judging.rules.beside_content, json_text)
        leaving += () if waits else self._head(call)
        return leaving + self._of_arguments(call, call.arguments.push(function.arguments, now))

    def _head(self, call: _GuardedCall) -> list[ChunkChoice]:
        """What a call begins with, once."""
        if call.name.told or self.blocked_by is not None:
            return []
        name = call.name.flush()
        self._passes(name)
        if name.blocked_by is not None:
            return []
        self._judging.terms.require_offered(name.text)
        if self._said is not None:
            self._said.call(call.number, name.text)
        identified = f"call_{uuid.uuid4().hex[:24]}"
        head = ToolCallDelta(call.number, identified, "function", FunctionDelta(name.text, ""))
        return [ChunkChoice(self.index, Delta(tool_calls=(head,)))]

    def _end_call(self, call: _GuardedCall) -> list[ChunkChoice]:
        """A call is whole; what it consists of is told."""
        leaving = self._head(call)
        if call.arguments is not None and not call.ended:
            leaving += self._of_arguments(call, call.arguments.flush())
        call.ended = True
        return leaving

    def _behind_texts(self, leaving: list[ChunkChoice]) -> list[ChunkChoice]:
        """What calls say waits while a text before them is held: clients take a call for the end of what was before.

        It waits for the end where somebody has to be asked first.
        """
        self._waiting += leaving
        held = (text is not None and text.holds for text in (self._content, self._refusal))
        if self.blocked_by is not None or self._judging.rules.waits or any(held):
            return []
        leaving, self._waiting = self._waiting, []
        return leaving

    def _of_content(self, leaving: Leaving) -> list[ChunkChoice]:
        if self._judging.keeps and self.blocked_by is None and len(self.kept) < MOST_KEPT:
            self.kept += leaving.judged
        if not self._passes(leaving):
            return []
        if self._said is not None:
            self._said.text(leaving.text)
        logprobs = Logprobs(content=leaving.logprobs) if leaving.logprobs else UNSET
        return [ChunkChoice(self.index, Delta(content=leaving.text), logprobs=logprobs)]

    def _of_refusal(self, leaving: Leaving) -> list[ChunkChoice]:
        if not self._passes(leaving):
            return []
        if self._said is not None:
            self._said.refuse()
        logprobs = Logprobs(refusal=leaving.logprobs) if leaving.logprobs else UNSET
        return [ChunkChoice(self.index, Delta(refusal=leaving.text), logprobs=logprobs)]

    def _of_arguments(self, call: _GuardedCall, leaving: Leaving) -> list[ChunkChoice]:
        if not self._passes(leaving):
            return []
        if self._said is not None:
            self._said.argue(call.number, leaving.text)
        delta = ToolCallDelta(call.number, function=FunctionDelta(arguments=leaving.text))
        return [ChunkChoice(self.index, Delta(tool_calls=(delta,)))]

    def _passes(self, leaving: Leaving) -> bool:
        """Whether there is something to tell; a block ends the choice after this."""
        if self.blocked_by is not None:
            return False
        if leaving.blocked_by is not None:
            self.blocked_by, self.finish_reason = leaving.blocked_by, CONTENT_FILTER
        if self._judging.rules.waits:
            self.shown += filter(None, (leaving.judged, *leaving.ranks))
        return bool(leaving.text or leaving.logprobs)


class _GuardedCall:
    """One call; `number` is how clients know it."""

    def __init__(self, number: int, judging: Judging) -> None:
        self.number, self.name = number, GuardedName(judging)
        self.arguments: GuardedText | None = None
        self.ended = False

    @property
    def parts(self) -> tuple[GuardedName, GuardedText | None]:
        """Its texts."""
        return self.name, self.arguments


_NO_LOGPROBS = Logprobs()
