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

OLDER_NAMES = {"seed": "random_seed"}
"""What inputs were called until early 2025."""

GENERATING_MODEL = "tensorrt_llm"
"""What NVIDIA's repositories call the step that generates."""


def inputs(request: GenerateRequest) -> tuple[Input, ...]:
    """The tensors for a request; raises ApiError for what this kind of engine cannot do."""
    chat = request.chat
    require_plain_text(chat)
    optional = (
        ("temperature", Datatype.FLOAT, chat.temperature, "temperature"),
        ("top_p", Datatype.FLOAT, chat.top_p, "top_p"),
        ("frequency_penalty", Datatype.FLOAT, chat.frequency_penalty, "frequency_penalty"),
        ("presence_penalty", Datatype.FLOAT, chat.presence_penalty, "presence_penalty"),
        ("seed", Datatype.UNSIGNED, None if chat.seed is None else chat.seed % 2**64, "seed"),
        ("stop_words", Datatype.TEXT, chat.stop_words or None, "stop"),
    )
    return (
        Input("text_input", Datatype.TEXT, prompt_text(chat.messages)),
        Input("max_tokens", Datatype.INTEGER, request.tokens_or(DEFAULT_OUTPUT_TOKENS)),
        Input("stream", Datatype.BOOLEAN, True),
        Input("exclude_input_in_output", Datatype.BOOLEAN, True, extra=True),
        Input("return_num_input_tokens", Datatype.BOOLEAN, True, extra=True),
        Input("return_num_output_tokens", Datatype.BOOLEAN, True, extra=True),
        *(
            Input(name, kind, value, field, older=OLDER_NAMES.get(name))
            for name, kind, value, field in optional
            if value is not None
        ),
    )


INTERFACE = Interface(inputs, cumulative=False, stopped_by=GENERATING_MODEL)
