"""What an answer grows by, put together again: for clients that do not stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmops_sidecars.openai.answers import ChunkChoice, Logprobs, TokenLogprob, ToolCallDelta, Usage
from llmops_sidecars.openai.chat import FunctionCall, ToolCall
from llmops_sidecars.openai.errors import engine_failed


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass
class AssembledChoice:
    """One choice that grows; it is whole once it has a finish reason."""

    index: int
    finish_reason: str | None = None
    _texts: list[str] = field(default_factory=list)
    _refusals: list[str] = field(default_factory=list)
    _calls: dict[int, _Call] = field(default_factory=dict)
    _content_logprobs: list[TokenLogprob] = field(default_factory=list)
    _refusal_logprobs: list[TokenLogprob] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The content so far."""
        return "".join(self._texts)

    @property
    def refusal(self) -> str:
        """The refusal so far."""
        return "".join(self._refusals)

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls so far, in the order of their numbers."""
        in_order = (self._calls[number] for number in sorted(self._calls))
        return tuple(ToolCall(call.id, FunctionCall(call.name, "".join(call.arguments))) for call in in_order)

    @property
    def logprobs(self) -> Logprobs | None:
        """The log probabilities, where there are any."""
        if not self._content_logprobs and not self._refusal_logprobs:
            return None
        return Logprobs(tuple(self._content_logprobs) or None, tuple(self._refusal_logprobs) or None)

    def add(self, choice: ChunkChoice) -> None:
        """Take what is next."""
        delta = choice.delta
        if delta.content:
            self._texts.append(delta.content)
        if delta.refusal:
            self._refusals.append(delta.refusal)
        for call in delta.tool_calls or ():
            self._add_call(call)
        if isinstance(choice.logprobs, Logprobs):
            self._content_logprobs += choice.logprobs.content or ()
            self._refusal_logprobs += choice.logprobs.refusal or ()
        self.finish_reason = choice.finish_reason or self.finish_reason

    def _add_call(self, delta: ToolCallDelta) -> None:
        call = self._calls.setdefault(delta.index, _Call())
        call.id = delta.id or call.id
        if delta.function is not None:
            call.name += delta.function.name or ""
            call.arguments.append(delta.function.arguments or "")


@dataclass
class Assembly:
    """One answer that grows."""

    usage: Usage = field(default_factory=Usage)
    _choices: dict[int, AssembledChoice] = field(default_factory=dict)

    def add(self, choice: ChunkChoice) -> None:
        """Take what a choice grows by."""
        if choice.index not in self._choices:
            self._choices[choice.index] = AssembledChoice(choice.index)
        self._choices[choice.index].add(choice)

    def choices(self) -> Sequence[AssembledChoice]:
        """The choices in their order; raises ApiError (`engine_failed`) for one without a finish reason: it was cut."""
        in_order = [self._choices[index] for index in sorted(self._choices)]
        if not in_order or any(choice.finish_reason is None for choice in in_order):
            raise engine_failed("The model's answer ended before it was complete.")
        return in_order
