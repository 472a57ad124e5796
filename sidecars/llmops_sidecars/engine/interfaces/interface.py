"""What makes an interface, and what all of them refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llmops_sidecars.engine.driver import GenerateRequest
from llmops_sidecars.engine.tensors import Input
from llmops_sidecars.openai.chat import ChatRequest
from llmops_sidecars.openai.errors import unsupported

FINISH_REASON = "return_finish_reason"
"""The input by which a model is asked why it ends; one that has it names the reason in its last response."""


@dataclass(frozen=True)
class Interface:
    """One kind of model.

    `inputs` turns a request for one choice into tensors; it raises ApiError for what this kind cannot do. `cumulative`:
    each response repeats the text so far. `stopped_by`: the model of the same Triton that ends a generation when it is
    sent a request of the same id with `stop`; None where cancelling the request does it.
    """

    inputs: Callable[[GenerateRequest], tuple[Input, ...]]
    cumulative: bool
    stopped_by: str | None = None


def require_plain_text(chat: ChatRequest, *, logprobs: bool = False) -> None:
    """Raises ApiError (`unsupported`) for what needs more than text in and text out."""
    if chat.tools and chat.tool_choice != "none":
        raise unsupported("tools", "tools: calling tools with this engine")
    if chat.response_format is not None and chat.response_format.type != "text":
        raise unsupported("response_format", "response_format: anything but text from this engine")
    if chat.logit_bias:
        raise unsupported("logit_bias", "logit_bias: biasing tokens of this engine")
    if chat.logprobs and not logprobs:
        raise unsupported("logprobs", "logprobs: the probabilities of this engine's tokens")
    for index, message in enumerate(chat.messages):
        if message.tool_calls:
            place = f"messages[{index}].tool_calls"
            raise unsupported(place, f"{place}: tool calls to this engine")
