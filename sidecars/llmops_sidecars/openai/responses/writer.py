"""The events of a streamed response.

response.created, response.in_progress
  for each item:  response.output_item.added, [response.content_part.added], its deltas
  at the end:     the same in reverse for each item: its text done, [part done], item done
response.completed | response.incomplete | (error, response.failed)

Items may grow at the same time: text that was held for a rule comes after a call that was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from llmops_sidecars.openai.answers import ChunkChoice, ToolCallDelta, Usage
from llmops_sidecars.openai.chat import FunctionCall, ToolCall
from llmops_sidecars.openai.endpoint import Head
from llmops_sidecars.openai.errors import ApiError, engine_failed
from llmops_sidecars.openai.events import encode_event, obfuscation
from llmops_sidecars.openai.responses.objects import (
    FunctionToolCall,
    Item,
    OutputMessage,
    OutputText,
    Part,
    Refusal,
    Response,
    Token,
    call_item,
    ended,
    failed,
    item_status,
    message_id,
    tokens,
)

MOST_CHARACTERS = 4 * 1024 * 1024
"""Of one answer: its last events say all of it again."""


EVENTS = (
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.refusal.delta",
    "response.refusal.done",
    "response.content_part.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
)
"""All that there are here."""


class _Part:
    """A part of the message that grows."""

    def __init__(self, kind: str, index: int) -> None:
        self.kind, self.index = kind, index
        self.texts: list[str] = []
        self.logprobs: list[Token] = []

    def whole(self) -> Part:
        text = "".join(self.texts)
        return OutputText(text, logprobs=tuple(self.logprobs)) if self.kind == "output_text" else Refusal(text)


class _Message:
    """The message that grows."""

    def __init__(self, identified: str, place: int) -> None:
        self.id, self.place = identified, place
        self.parts: dict[str, _Part] = {}

    def whole(self, status: Any) -> OutputMessage:
        return OutputMessage(self.id, status, tuple(part.whole() for part in self.parts.values()))


class _Call:
    """A call that grows."""

    def __init__(self, item: FunctionToolCall, place: int) -> None:
        self.item, self.place = item, place
        self.arguments: list[str] = []

    def whole(self, status: Any) -> FunctionToolCall:
        return msgspec.structs.replace(self.item, arguments="".join(self.arguments), status=status)


class ResponseWriter:
    """Writes them."""

    def __init__(self, head: Head, response: Response, *, obfuscates: bool = False) -> None:
        self._head, self._response, self._obfuscates = head, response, obfuscates
        self._items: list[_Message | _Call] = []
        self._message: _Message | None = None
        self._calls: dict[int, _Call] = {}
        self._finish_reason = "stop"
        self._sequence = self._characters = 0
        self._encoder = msgspec.json.Encoder()

    def begin(self) -> bytes:
        """The response before it says anything."""
        return b"".join(
            self._event(name, response=self._response) for name in ("response.created", "response.in_progress")
        )

    def more(self, choices: Sequence[ChunkChoice]) -> bytes:
        """What the items grow by; the items' ends when the choice has ended. Raises ApiError when it is too much."""
        return b"".join(map(self._more, choices))

    def end(self, usage: Usage) -> bytes:
        """The whole response."""
        response = ended(self._response, self._whole(), self._finish_reason, usage)
        return self._event(f"response.{response.status}", response=response)

    def fail(self, error: ApiError) -> bytes:
        """The error, and the response that failed with it."""
        body = error.body
        told = self._event("error", code=body.code, message=body.message, param=body.param)
        response = failed(self._response, tuple(item.whole("incomplete") for item in self._items), error)
        return told + self._event("response.failed", response=response)

    def _more(self, choice: ChunkChoice) -> bytes:
        delta, events = choice.delta, b""
        if delta.content is not None:
            events += self._text("output_text", delta.content, tokens(choice.logprobs))
        if delta.refusal is not None:
            events += self._text("refusal", delta.refusal)
        for call in delta.tool_calls or ():
            events += self._call(call)
        if choice.finish_reason is not None:
            self._finish_reason = choice.finish_reason
            events += self._ends()
        return events

    def _text(self, kind: str, text: str, logprobs: tuple[Token, ...] = ()) -> bytes:
        events, message = self._opened()
        part = message.parts.get(kind)
        if part is None:
            part = message.parts[kind] = _Part(kind, len(message.parts))
            events += self._of_part("response.content_part.added", message, part, part=part.whole())
        self._require_room(text)
        part.texts.append(text)
        part.logprobs += logprobs
        if kind == "refusal":
            return events + self._of_part("response.refusal.delta", message, part, delta=text)
        return events + self._of_part("response.output_text.delta", message, part, delta=text, logprobs=logprobs)

    def _opened(self) -> tuple[bytes, _Message]:
        """The message, and the event that it has begun, when it has just now."""
        if self._message is not None:
            return b"", self._message
        self._message = _Message(message_id(self._head), len(self._items))
        return self._added(self._message), self._message

    def _call(self, delta: ToolCallDelta) -> bytes:
        events, call = b"", self._calls.get(delta.index)
        name = delta.function.name if delta.function else None
        if call is None:
            began = ToolCall(delta.id or "", FunctionCall(name or "", ""))
            item = call_item(self._head, delta.index, began, "in_progress")
            call = self._calls[delta.index] = _Call(item, len(self._items))
            events += self._added(call)
        arguments = delta.function.arguments if delta.function else None
        if not arguments:
            return events
        self._require_room(arguments)
        call.arguments.append(arguments)
        return events + self._of_call("response.function_call_arguments.delta", call, delta=arguments)

    def _added(self, item: _Message | _Call) -> bytes:
        self._items.append(item)
        return self._event("response.output_item.added", output_index=item.place, item=item.whole("in_progress"))

    def _ends(self) -> bytes:
        """The end of each item; an answer that said nothing is an empty message."""
        opening = b"" if self._items else self._text("output_text", "")
        return opening + b"".join(self._end(item) for item in self._items)

    def _end(self, item: _Message | _Call) -> bytes:
        whole = item.whole(item_status(self._finish_reason))
        if isinstance(item, _Message):
            events = b"".join(self._part_done(item, part) for part in item.parts.values())
        else:
            arguments = "".join(item.arguments)
            events = self._of_call(
                "response.function_call_arguments.done", item, name=item.item.name, arguments=arguments
            )
        return events + self._event("response.output_item.done", output_index=item.place, item=whole)

    def _part_done(self, message: _Message, part: _Part) -> bytes:
        whole = part.whole()
        if isinstance(whole, OutputText):
            told = {"text": whole.text, "logprobs": whole.logprobs}
        else:
            told = {"refusal": whole.refusal}
        return self._of_part(f"response.{part.kind}.done", message, part, **told) + self._of_part(
            "response.content_part.done", message, part, part=whole
        )

    def _whole(self) -> tuple[Item, ...]:
        status = item_status(self._finish_reason)
        return tuple(item.whole(status) for item in self._items)

    def _of_part(self, name: str, message: _Message, part: _Part, /, **fields: Any) -> bytes:
        place = {"item_id": message.id, "output_index": message.place, "content_index": part.index}
        return self._event(name, **place, **fields)

    def _of_call(self, event: str, call: _Call, /, **fields: Any) -> bytes:
        return self._event(event, item_id=call.item.id, output_index=call.place, **fields)

    def _event(self, kind: str, /, **fields: Any) -> bytes:
        event = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        encoded = self._encoder.encode(event)
        if self._obfuscates and kind.endswith(".delta"):
            encoded = self._encoder.encode(event | {"obfuscation": obfuscation(len(encoded))})
        return encode_event(encoded, kind.encode())

    def _require_room(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > MOST_CHARACTERS:
            raise engine_failed("The model's answer is too long for this API; ask for less in one response.")
