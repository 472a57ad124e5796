"""Chunks put together again, for clients that do not stream and for what is remembered."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmops_sidecars.openai.answers import (
    AnswerMessage,
    ChatResponse,
    Choice,
    Chunk,
    ToolCallDelta,
    Usage,
)
from llmops_sidecars.openai.chat import FunctionCall, ToolCall
from llmops_sidecars.openai.errors import engine_failed


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass
class Assembly:
    """One answer that grows by chunks (of one choice); `complete` once a finish reason has come."""

    id: str = ""
    created: int = 0
    model: str = ""
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    _texts: list[str] = field(default_factory=list)
    _refusals: list[str] = field(default_factory=list)
    _calls: dict[int, _Call] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the engine said why it ended."""
        return self.finish_reason is not None

    @property
    def text(self) -> str:
        """The content so far."""
        return "".join(self._texts)

    def add(self, chunk: Chunk) -> None:
        """Take one more chunk."""
        if not self.id:
            self.id, self.created, self.model = chunk.id, chunk.created, chunk.model
        self.usage = chunk.tokens or self.usage
        for choice in chunk.choices:
            self._texts.append(choice.delta.content or "")
            self._refusals.append(choice.delta.refusal or "")
            for call in choice.delta.tool_calls or ():
                self._add_call(call)
            self.finish_reason = choice.finish_reason or self.finish_reason

    def response(self) -> ChatResponse:
        """The whole answer; raises ApiError (`engine_failed`) when the stream ended without a finish reason."""
        if self.finish_reason is None:
            raise engine_failed("The model's answer ended before it was complete.")
        calls = tuple(ToolCall(call.id, FunctionCall(call.name, "".join(call.arguments))) for call in self._in_order())
        message = AnswerMessage(self.text or (None if calls else ""), "".join(self._refusals) or None)
        if calls:
            message = AnswerMessage(message.content, message.refusal, tool_calls=calls)
        choice = Choice(message, self.finish_reason)
        return ChatResponse(self.id, self.created, self.model, (choice,), self.usage)

    def _in_order(self) -> list[_Call]:
        return [self._calls[index] for index in sorted(self._calls)]

    def _add_call(self, delta: ToolCallDelta) -> None:
        call = self._calls.setdefault(delta.index, _Call())
        call.id = delta.id or call.id
        if delta.function is not None:
            call.name = delta.function.name or call.name
            call.arguments.append(delta.function.arguments or "")
