from __future__ import annotations

import logging
from typing import Any

import pytest

from llmops_sidecars.engine.driver import DEFAULT_OUTPUT_TOKENS, GenerateRequest, Piece
from llmops_sidecars.engine.triton import Answer, Datatype, Input, error, inputs, reason
from llmops_sidecars.openai.chat import (
    ChatRequest,
    FunctionCall,
    FunctionDefinition,
    Message,
    ResponseFormat,
    Tool,
    ToolCall,
)
from llmops_sidecars.openai.errors import ApiError
from tests.sidecars_.engine.kit import generate

ALWAYS = {"streaming": True, "return_finish_reason": True, "return_stop_reason": True}
TOOL = Tool(FunctionDefinition("f"), "function")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"sampling_param_max_tokens": DEFAULT_OUTPUT_TOKENS}),
        ({"max_tokens": 5}, {"sampling_param_max_tokens": 5}),
        ({"max_completion_tokens": 9999}, {"sampling_param_max_tokens": 4096}),
        ({"output_tokens": 100}, {"sampling_param_max_tokens": 100}),
        (
            {"temperature": 0.0, "top_p": 0.5, "frequency_penalty": -1.0, "presence_penalty": 1.0, "max_tokens": 1},
            {
                "sampling_param_max_tokens": 1,
                "sampling_param_temperature": 0.0,
                "sampling_param_top_p": 0.5,
                "sampling_param_frequency_penalty": -1.0,
                "sampling_param_presence_penalty": 1.0,
            },
        ),
        (
            {"seed": -1, "stop": "x", "max_tokens": 1},
            {"sampling_param_max_tokens": 1, "sampling_param_seed": 2**64 - 1, "sampling_param_stop": ("x",)},
        ),
        (
            {"tools": (TOOL,), "tool_choice": "none", "response_format": ResponseFormat("text"), "max_tokens": 1},
            {"sampling_param_max_tokens": 1},
        ),
    ],
    ids=[
        "default",
        "wanted",
        "wanted too much",
        "default above the limit",
        "sampling",
        "seed and stop",
        "unused tools",
    ],
)
def test_a_request_becomes_tensors(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    tensors = {tensor.name: tensor.value for tensor in inputs(generate("Hi", **fields))}
    assert tensors == {"text_input": "Hi", **ALWAYS, **expected}


def test_tensors_have_the_types_of_the_model() -> None:
    request = generate("Hi", temperature=1.0, seed=1, stop=("a", "b"))
    types = {tensor.name: tensor.datatype for tensor in inputs(request)}
    assert types["text_input"] is Datatype.TEXT
    assert types["streaming"] is Datatype.BOOLEAN
    assert types["sampling_param_temperature"] is Datatype.FLOAT
    assert types["sampling_param_max_tokens"] is Datatype.INTEGER
    assert types["sampling_param_seed"] is Datatype.UNSIGNED
    assert Input("sampling_param_stop", Datatype.TEXT, ("a", "b")) in inputs(request)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": (TOOL,)}, "tools"),
        ({"response_format": ResponseFormat("json_object")}, "response_format"),
        ({"logit_bias": {"1": 1.0}}, "logit_bias"),
    ],
    ids=["tools", "format", "bias"],
)
def test_what_this_engine_cannot_do_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        inputs(generate("Hi", **fields))
    assert (caught.value.status, caught.value.body.param) == (400, param)


def test_a_conversation_with_tool_calls_is_refused() -> None:
    call = Message("assistant", tool_calls=(ToolCall("1", FunctionCall("f", "{}")),))
    with pytest.raises(ApiError) as caught:
        inputs(GenerateRequest("", ChatRequest("chat", (Message("user", "Hi"), call)), 10))
    assert caught.value.body.param == "messages[1].tool_calls"


@pytest.mark.parametrize(
    ("cumulative", "texts"),
    [(True, ["one", "one two", "one two"]), (False, ["one", " two", ""])],
    ids=["cumulative", "deltas"],
)
def test_responses_become_pieces(texts: list[str], *, cumulative: bool) -> None:
    answer = Answer(cumulative=cumulative)
    reasons = [("None", "None"), ("", None), ("stop", "END")]
    pieces = [answer.piece(text, *more) for text, more in zip(texts, reasons, strict=True)]
    assert pieces == [Piece("one", 1), Piece(" two", 1), Piece("", 0, "stop", "END")]


@pytest.mark.parametrize("finish_reason", ["cancelled", "timeout", "not_finished"])
def test_an_engine_that_gives_up_has_failed(finish_reason: str) -> None:
    with pytest.raises(ApiError) as caught:
        Answer(cumulative=True).piece("one", finish_reason, None)
    assert caught.value.code == "engine_failed"


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        ("Error generating request: the prompt has 5001 tokens, max_seq_len is 4096", "context_length_exceeded", None),
        ("The sum of prompt length (9) and max_tokens should not exceed max_seq_len", "context_length_exceeded", None),
        ("Prompt length (9) should be less than max_num_tokens (8)", "context_length_exceeded", None),
        ("the request needs 900 KV cache blocks, there are 512", "context_length_exceeded", None),
        ("Exceeds maximum queue size", "too_many_requests", "queue full"),
        ("Request for unknown model: 'x' is not found", "engine_failed", "unknown model"),
        ("Stub process 'tensorrt_llm_0_0' is not healthy.", "engine_failed", "model process died"),
        ("This API is restricted, expecting header 'triton-admin'", "engine_failed", "restricted API"),
        ("failed: OutOfMemoryError: my secret prompt", "engine_failed", "OutOfMemoryError"),
        ("my secret prompt", "engine_failed", "unknown"),
        ("", "engine_failed", "unknown"),
    ],
)
def test_errors_are_told_apart_by_their_text_which_goes_no_further(
    text: str, code: str, why: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    failure = error(text)
    assert failure.code == code
    assert "secret" not in failure.encode().decode()
    assert [vars(record)["reason"] for record in caplog.records] == ([why] if why else [])


def test_a_reason_is_no_sentence() -> None:
    assert reason("Traceback …\nRuntimeError: the prompt was: tell me") == "RuntimeError"
