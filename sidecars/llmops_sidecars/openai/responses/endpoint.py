"""`/v1/responses`: the endpoint."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from llmops_sidecars.openai.assembly import AssembledChoice, Assembly
from llmops_sidecars.openai.chat import ChatRequest
from llmops_sidecars.openai.chat_checks import narrowed, require_sense, terms_of
from llmops_sidecars.openai.endpoint import Head
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.openai.responses.objects import (
    Item,
    OutputMessage,
    OutputText,
    Part,
    Refusal,
    begun,
    call_item,
    ended,
    item_status,
    message_id,
    tokens,
)
from llmops_sidecars.openai.responses.request import ResponsesRequest, chat_request, decode_responses_request
from llmops_sidecars.openai.responses.writer import ResponseWriter
from llmops_sidecars.openai.terms import Terms

NAMES = {
    "response_format.json_schema": "text.format",
    "response_format": "text.format",
    "messages": "input",
    ".function.": ".",
}
"""What a field of the internal form is called here."""


class ResponsesEndpoint:
    """The endpoint."""

    def read(self, body: bytes) -> ResponsesCall:
        """Read a request; raises ApiError."""
        request = decode_responses_request(body)
        chat = chat_request(request)
        try:
            require_sense(chat)
            return ResponsesCall(request, (narrowed(chat),), terms_of(chat))
        except ApiError as error:
            raise _renamed(error) from error


@dataclass(frozen=True)
class ResponsesCall:
    """One request."""

    asked: ResponsesRequest
    requests: tuple[ChatRequest]
    terms: Terms
    default_tokens: int | None = None

    @property
    def streams(self) -> bool:
        """Whether the client wants events."""
        return bool(self.asked.stream)

    def writer(self, head: Head) -> ResponseWriter:
        """A writer for the answer as events."""
        return ResponseWriter(head, begun(head, self.asked), obfuscates=self.requests[0].wants_obfuscation)

    def document(self, head: Head, answer: Assembly) -> bytes:
        """The answer as one response."""
        (choice,) = answer.choices()
        reason = choice.finish_reason or "stop"
        return msgspec.json.encode(ended(begun(head, self.asked), _items(head, choice, reason), reason, answer.usage))


def _items(head: Head, choice: AssembledChoice, finish_reason: str) -> tuple[Item, ...]:
    status, parts = item_status(finish_reason), list[Part]()
    if choice.text or not (choice.refusal or choice.calls):
        parts.append(OutputText(choice.text, logprobs=tokens(choice.logprobs)))
    if choice.refusal:
        parts.append(Refusal(choice.refusal))
    message = (OutputMessage(message_id(head), status, tuple(parts)),) if parts else ()
    calls = (call_item(head, number, call, status) for number, call in enumerate(choice.calls))
    return (*message, *calls)


def _renamed(error: ApiError) -> ApiError:
    """An error in the words of this endpoint."""
    message, param = error.body.message, error.body.param
    for internal, name in NAMES.items():
        message = message.replace(internal, name)
        param = param.replace(internal, name) if param else param
    return ApiError(error.status, error.body.code, message, type=error.body.type, param=param)
