"""The model of Triton's vLLM backend: each response has what is new, and says how many tokens it is."""

from __future__ import annotations

from typing import Any

import msgspec

from llmops_sidecars.engine.driver import DEFAULT_OUTPUT_TOKENS, GenerateRequest
from llmops_sidecars.engine.interfaces.interface import FINISH_REASON, Interface, require_plain_text
from llmops_sidecars.engine.prompt import prompt_text
from llmops_sidecars.engine.tensors import Datatype, Input
from llmops_sidecars.openai.chat import ChatRequest


def inputs(request: GenerateRequest) -> tuple[Input, ...]:
    """The tensors for a request; raises ApiError for what this kind of engine cannot do."""
    chat = request.chat
    require_plain_text(chat, logprobs=True)
    parameters = {"max_tokens": request.tokens_or(DEFAULT_OUTPUT_TOKENS), **_sampling(chat)}
    logprobs = (Input("return_logprobs", Datatype.BOOLEAN, True, "logprobs"),) if chat.logprobs else ()
    return (
        Input("text_input", Datatype.TEXT, prompt_text(chat.messages)),
        Input("stream", Datatype.BOOLEAN, True),
        Input("sampling_parameters", Datatype.TEXT, msgspec.json.encode(parameters).decode()),
        Input("exclude_input_in_output", Datatype.BOOLEAN, True, extra=True),
        Input(FINISH_REASON, Datatype.BOOLEAN, True, extra=True),
        Input("return_num_input_tokens", Datatype.BOOLEAN, True, extra=True),
        Input("return_num_output_tokens", Datatype.BOOLEAN, True, extra=True),
        *logprobs,
    )


def _sampling(chat: ChatRequest) -> dict[str, Any]:
    """The sampling parameters under vLLM's names; a seed of -1 would mean none to it."""
    wanted = {
        "temperature": chat.temperature,
        "top_p": chat.top_p,
        "frequency_penalty": chat.frequency_penalty,
        "presence_penalty": chat.presence_penalty,
        "seed": None if chat.seed is None else chat.seed % 2**63,
        "stop": chat.stop_words or None,
        "logprobs": (chat.top_logprobs or 0) if chat.logprobs else None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


INTERFACE = Interface(inputs, cumulative=False)
