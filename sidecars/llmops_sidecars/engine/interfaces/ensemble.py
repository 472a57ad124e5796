"""TensorRT-LLM's older models: `ensemble`, and `tensorrt_llm_bls` with the same inputs.

Each response has the text of its own tokens; nothing says why an answer ends, only that it does. A token that is a part
of a character comes as U+FFFD and is lost; `tensorrt_llm_bls` with `accumulate_tokens` repeats the text so far instead,
with nothing lost: that is the layout Cumulative.

Triton never cancels the steps of an ensemble that run (seen on 2.51), so the generation is stopped by a request to the
model that generates; `tensorrt_llm_bls` gives its own requests other ids and cannot be stopped from outside.
"""

from __future__ import annotations

from llmops_sidecars.engine.driver import DEFAULT_OUTPUT_TOKENS, GenerateRequest
from llmops_sidecars.engine.interfaces.interface import Interface, require_plain_text
from llmops_sidecars.engine.prompt import prompt_text
from llmops_sidecars.engine.tensors import Datatype, Input

GENERATING_MODEL = "tensorrt_llm"
"""What NVIDIA's repositories call the step that generates."""


def inputs(request: GenerateRequest) -> tuple[Input, ...]:
    """The tensors for a request; raises ApiError for what this kind of engine cannot do."""
    chat = request.chat
    require_plain_text(chat)
    optional = (
        Input("temperature", Datatype.FLOAT, chat.temperature or 0.0, "temperature"),
        Input("top_p", Datatype.FLOAT, chat.top_p or 1.0, "top_p"),
        Input("frequency_penalty", Datatype.FLOAT, chat.frequency_penalty or 0.0, "frequency_penalty"),
        Input("presence_penalty", Datatype.FLOAT, chat.presence_penalty or 0.0, "presence_penalty"),
        Input("seed", Datatype.UNSIGNED, (chat.seed or 0) % 2**64, "seed", older="random_seed"),
        Input("stop_words", Datatype.TEXT, chat.stop_words, "stop"),
    )
    return (
        Input("text_input", Datatype.TEXT, prompt_text(chat.messages)),
        Input("max_tokens", Datatype.INTEGER, request.tokens_or(DEFAULT_OUTPUT_TOKENS)),
        Input("stream", Datatype.BOOLEAN, True),
        Input("exclude_input_in_output", Datatype.BOOLEAN, True, extra=True),
        Input("return_num_input_tokens", Datatype.BOOLEAN, True, extra=True),
        Input("return_num_output_tokens", Datatype.BOOLEAN, True, extra=True),
        *(one for one in optional if getattr(chat, str(one.field)) is not None),
    )


INTERFACE = Interface(inputs, cumulative=False, stopped_by=GENERATING_MODEL)
