"""TensorRT-LLM's llmapi model: each response has all of the text so far, the last one says why it ends."""

from __future__ import annotations

from llmops_sidecars.engine.driver import DEFAULT_OUTPUT_TOKENS, GenerateRequest
from llmops_sidecars.engine.interfaces.interface import FINISH_REASON, Interface, require_plain_text
from llmops_sidecars.engine.prompt import prompt_text
from llmops_sidecars.engine.tensors import Datatype, Input


def inputs(request: GenerateRequest) -> tuple[Input, ...]:
    """The tensors for a request; raises ApiError for what this kind of engine cannot do."""
    chat = request.chat
    require_plain_text(chat)
    optional = (
        ("temperature", Datatype.FLOAT, chat.temperature),
        ("top_p", Datatype.FLOAT, chat.top_p),
        ("frequency_penalty", Datatype.FLOAT, chat.frequency_penalty),
        ("presence_penalty", Datatype.FLOAT, chat.presence_penalty),
        ("seed", Datatype.UNSIGNED, None if chat.seed is None else chat.seed % 2**64),
        ("stop", Datatype.TEXT, chat.stop_words or None),
    )
    return (
        Input("text_input", Datatype.TEXT, prompt_text(chat.messages)),
        Input("streaming", Datatype.BOOLEAN, True),
        Input(FINISH_REASON, Datatype.BOOLEAN, True, extra=True),
        Input("return_stop_reason", Datatype.BOOLEAN, True, extra=True),
        Input("sampling_param_max_tokens", Datatype.INTEGER, request.tokens_or(DEFAULT_OUTPUT_TOKENS)),
        *(Input(f"sampling_param_{name}", kind, value, name) for name, kind, value in optional if value is not None),
    )


INTERFACE = Interface(inputs, cumulative=True)
