"""Errors of Triton, whose codes are lost on the way: their texts decide, and go no further."""

from __future__ import annotations

import logging
import re

from llmops_sidecars.openai.errors import ApiError, engine_failed, invalid_request, too_many_requests

_log = logging.getLogger(__name__)

_TOO_LONG = re.compile(
    r"max_seq_len|max_num_tokens|max_input_len|max_model_len|maximum model length|KV cache blocks|too long",
    re.IGNORECASE,
)
"""In the errors of TensorRT-LLM and vLLM for requests that can never fit; all others are the engine's own trouble."""

_QUEUE_FULL = re.compile(r"Exceeds maximum queue size", re.IGNORECASE)

_REASONS = {
    "queue full": _QUEUE_FULL,
    "unknown model": re.compile(r"unknown model|is not found", re.IGNORECASE),
    "unknown input": re.compile(r"unexpected inference input|expected \d+ inputs", re.IGNORECASE),
    "model process died": re.compile(r"is not healthy", re.IGNORECASE),
    "restricted API": re.compile(r"is restricted", re.IGNORECASE),
    "Triton unreachable": re.compile(r"connect|socket closed|connection reset", re.IGNORECASE),
}
_EXCEPTION = re.compile(r"\b[A-Z][A-Za-z]{0,40}(?:Error|Exception)\b")


def error(text: str) -> ApiError:
    """An error of Triton as an answer; its text may hold a traceback or a part of the prompt."""
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
