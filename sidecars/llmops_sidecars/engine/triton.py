"""What both ways to Triton share: the inputs of TensorRT-LLM's `llmapi` model, its outputs, and its errors."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from enum import StrEnum

from llmops_sidecars.engine.driver import DEFAULT_OUTPUT_TOKENS, GenerateRequest, Piece
from llmops_sidecars.engine.prompt import prompt_text
from llmops_sidecars.engine.text import CumulativeText
from llmops_sidecars.openai.chat import ChatRequest
from llmops_sidecars.openai.errors import ApiError, engine_failed, invalid_request, too_many_requests, unsupported

_log = logging.getLogger(__name__)

_TOO_LONG = re.compile(r"max_seq_len|max_num_tokens|max_input_len|KV cache blocks|too long", re.IGNORECASE)
"""In the errors of TensorRT-LLM for requests that can never fit; all others are the engine's own trouble."""

_QUEUE_FULL = re.compile(r"Exceeds maximum queue size", re.IGNORECASE)

_REASONS = {
    "queue full": _QUEUE_FULL,
    "unknown model": re.compile(r"unknown model|is not found", re.IGNORECASE),
    "model process died": re.compile(r"is not healthy", re.IGNORECASE),
    "restricted API": re.compile(r"is restricted", re.IGNORECASE),
    "Triton unreachable": re.compile(r"connect|socket closed|connection reset", re.IGNORECASE),
}
_EXCEPTION = re.compile(r"\b[A-Z][A-Za-z]{0,40}(?:Error|Exception)\b")

_NO_VALUE = frozenset({"", "None"})
"""How "nothing yet" arrives: every output is text."""


class Datatype(StrEnum):
    """Triton's names of the types that the inputs have."""

    TEXT = "BYTES"
    BOOLEAN = "BOOL"
    FLOAT = "FP32"
    INTEGER = "INT32"
    UNSIGNED = "UINT64"


@dataclass(frozen=True)
class Input:
    """One input tensor; several texts make a tensor of that length, everything else has one element."""

    name: str
    datatype: Datatype
    value: str | bool | float | tuple[str, ...]


def inputs(request: GenerateRequest) -> tuple[Input, ...]:
    """The tensors for a request; raises ApiError for what this kind of engine cannot do."""
    chat = request.chat
    _require_plain_text(chat)
    optional = (
        ("sampling_param_temperature", Datatype.FLOAT, chat.temperature),
        ("sampling_param_top_p", Datatype.FLOAT, chat.top_p),
        ("sampling_param_frequency_penalty", Datatype.FLOAT, chat.frequency_penalty),
        ("sampling_param_presence_penalty", Datatype.FLOAT, chat.presence_penalty),
        ("sampling_param_seed", Datatype.UNSIGNED, None if chat.seed is None else chat.seed % 2**64),
        ("sampling_param_stop", Datatype.TEXT, chat.stop_words or None),
    )
    return (
        Input("text_input", Datatype.TEXT, prompt_text(chat.messages)),
        Input("streaming", Datatype.BOOLEAN, True),
        Input("return_finish_reason", Datatype.BOOLEAN, True),
        Input("return_stop_reason", Datatype.BOOLEAN, True),
        Input("sampling_param_max_tokens", Datatype.INTEGER, request.tokens_or(DEFAULT_OUTPUT_TOKENS)),
        *(Input(name, datatype, value) for name, datatype, value in optional if value is not None),
    )


class Answer:
    """Turns responses of one generation into pieces; `cumulative` as in the contract."""

    def __init__(self, *, cumulative: bool) -> None:
        self._cumulative = CumulativeText() if cumulative else None

    def piece(self, text: str, finish_reason: str | None, stop_word: str | None) -> Piece:
        """The piece that a response adds; raises ApiError when the engine gave up.

        Triton does not say how many tokens a response has: nearly always one, and none where there is no new text.
        """
        reason = _finish_reason(finish_reason)
        added = text if self._cumulative is None else self._cumulative.added(text, last=reason is not None)
        word = None if stop_word in _NO_VALUE else stop_word
        return Piece(added, 1 if added else 0, reason, word)


def error(text: str) -> ApiError:
    """An error of Triton as an answer.

    Its codes are lost on the way, and its text may hold a traceback or a part of the prompt: so the text decides on the
    class of the error and goes no further.
    """
    if _TOO_LONG.search(text):
        message = "messages: the prompt and the answer asked for are longer than the model can take."
        return invalid_request(message, "messages", "context_length_exceeded")
    _log.warning("Triton answered with an error", extra={"reason": reason(text)})
    return too_many_requests() if _QUEUE_FULL.search(text) else engine_failed()


def reason(text: str) -> str:
    """What can be said in a log about an error, without a word of a prompt: a known reason, or an exception's name."""
    for known, pattern in _REASONS.items():
        if pattern.search(text):
            return known
    exception = _EXCEPTION.search(text)
    return exception.group() if exception else "unknown"


def _finish_reason(value: str | None) -> str | None:
    if value is None or value in _NO_VALUE:
        return None
    if value not in {"stop", "length"}:
        raise engine_failed("The model gave up on the answer before it was complete.")
    return value


def _require_plain_text(chat: ChatRequest) -> None:
    if chat.tools and chat.tool_choice != "none":
        raise unsupported("tools", "tools: calling tools with this engine")
    if chat.response_format is not None and chat.response_format.type != "text":
        raise unsupported("response_format", "response_format: anything but text from this engine")
    if chat.logit_bias:
        raise unsupported("logit_bias", "logit_bias: biasing tokens of this engine")
    for index, message in enumerate(chat.messages):
        if message.tool_calls:
            raise unsupported(
                f"messages[{index}].tool_calls", f"messages[{index}].tool_calls: tool calls to this engine"
            )
