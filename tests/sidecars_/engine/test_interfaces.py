"""Which tensors a request becomes, for each interface."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmops_sidecars.contract import TritonInterface
from llmops_sidecars.engine.driver import DEFAULT_OUTPUT_TOKENS, GenerateRequest
from llmops_sidecars.engine.interfaces import INTERFACES
from llmops_sidecars.engine.tensors import Datatype, Input
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

TOOL = Tool(FunctionDefinition("f"), "function")
LLMAPI, ENSEMBLE, VLLM = TritonInterface.LLMAPI, TritonInterface.ENSEMBLE, TritonInterface.VLLM
COUNTS = {"exclude_input_in_output": True, "return_num_input_tokens": True, "return_num_output_tokens": True}
ALWAYS: dict[TritonInterface, dict[str, Any]] = {
    LLMAPI: {"streaming": True, "return_finish_reason": True, "return_stop_reason": True},
    ENSEMBLE: {"stream": True, **COUNTS},
    VLLM: {"stream": True, "return_finish_reason": True, **COUNTS},
}
SAMPLING = {"temperature": 0.0, "top_p": 0.5, "frequency_penalty": -1.0, "presence_penalty": 1.0, "max_tokens": 1}


def tensors(interface: TritonInterface, **fields: Any) -> dict[str, Any]:
    """The values of the tensors, vLLM's parameters read; what is always there is taken off."""
    found = {tensor.name: tensor.value for tensor in INTERFACES[interface].inputs(generate("Hi", **fields))}
    assert found.pop("text_input") == "Hi"
    for name, value in ALWAYS[interface].items():
        assert found.pop(name) is value
    parameters: dict[str, Any] = msgspec.json.decode(str(found.pop("sampling_parameters", "{}")))
    assert not (parameters and found.keys() - {"return_logprobs"})
    return found | parameters


@pytest.mark.parametrize("interface", TritonInterface)
@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, DEFAULT_OUTPUT_TOKENS),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 9999}, 4096),
        ({"output_tokens": 100}, 100),
        ({"tools": (TOOL,), "tool_choice": "none", "response_format": ResponseFormat("text")}, DEFAULT_OUTPUT_TOKENS),
    ],
    ids=["default", "wanted", "wanted too much", "default above the limit", "unused tools"],
)
def test_an_answer_is_always_bounded(interface: TritonInterface, fields: dict[str, Any], tokens: int) -> None:
    name = "sampling_param_max_tokens" if interface is LLMAPI else "max_tokens"
    assert tensors(interface, **fields) == {name: tokens}


@pytest.mark.parametrize(
    ("interface", "fields", "expected"),
    [
        (LLMAPI, SAMPLING, {f"sampling_param_{name}": value for name, value in SAMPLING.items()}),
        (ENSEMBLE, SAMPLING, SAMPLING),
        (VLLM, SAMPLING, SAMPLING),
        (
            LLMAPI,
            {"seed": -1, "stop": "x", "max_tokens": 1},
            {"sampling_param_seed": 2**64 - 1, "sampling_param_stop": ("x",), "sampling_param_max_tokens": 1},
        ),
        (
            ENSEMBLE,
            {"seed": -1, "stop": "x", "max_tokens": 1},
            {"seed": 2**64 - 1, "stop_words": ("x",), "max_tokens": 1},
        ),
        (
            VLLM,
            {"seed": -1, "stop": ("x", "y"), "max_tokens": 1},
            {"seed": 2**63 - 1, "stop": ["x", "y"], "max_tokens": 1},
        ),
        (VLLM, {"logprobs": True, "max_tokens": 1}, {"return_logprobs": True, "logprobs": 0, "max_tokens": 1}),
        (
            VLLM,
            {"logprobs": True, "top_logprobs": 5, "max_tokens": 1},
            {"return_logprobs": True, "logprobs": 5, "max_tokens": 1},
        ),
    ],
)
def test_what_a_client_says_is_passed_on(
    interface: TritonInterface, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert tensors(interface, **fields) == expected


@pytest.mark.parametrize("interface", TritonInterface)
def test_an_empty_list_of_stop_words_is_none(interface: TritonInterface) -> None:
    assert not {name for name in tensors(interface, stop=()) if "stop" in name}


def test_tensors_have_the_types_of_the_llmapi_model() -> None:
    request = generate("Hi", temperature=1.0, seed=1, stop=("a", "b"))
    found = INTERFACES[LLMAPI].inputs(request)
    types = {tensor.name: tensor.datatype for tensor in found}
    assert types["text_input"] is Datatype.TEXT
    assert types["streaming"] is Datatype.BOOLEAN
    assert types["sampling_param_temperature"] is Datatype.FLOAT
    assert types["sampling_param_max_tokens"] is Datatype.INTEGER
    assert types["sampling_param_seed"] is Datatype.UNSIGNED
    assert Input("sampling_param_stop", Datatype.TEXT, ("a", "b"), "stop") in found


@pytest.mark.parametrize("interface", TritonInterface)
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": (TOOL,)}, "tools"),
        ({"response_format": ResponseFormat("json_object")}, "response_format"),
        ({"logit_bias": {"1": 1.0}}, "logit_bias"),
    ],
    ids=["tools", "format", "bias"],
)
def test_what_an_interface_cannot_do_is_refused(interface: TritonInterface, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        INTERFACES[interface].inputs(generate("Hi", **fields))
    assert (caught.value.status, caught.value.body.param) == (400, param)


@pytest.mark.parametrize("interface", [LLMAPI, ENSEMBLE])
def test_probabilities_of_tokens_are_refused_where_the_tokens_are_not_told(interface: TritonInterface) -> None:
    with pytest.raises(ApiError) as caught:
        INTERFACES[interface].inputs(generate("Hi", logprobs=True))
    assert (caught.value.status, caught.value.body.param) == (400, "logprobs")


@pytest.mark.parametrize("interface", TritonInterface)
def test_a_conversation_with_tool_calls_is_refused(interface: TritonInterface) -> None:
    call = Message("assistant", tool_calls=(ToolCall("1", FunctionCall("f", "{}")),))
    with pytest.raises(ApiError) as caught:
        INTERFACES[interface].inputs(GenerateRequest("", ChatRequest("chat", (Message("user", "Hi"), call)), 10))
    assert caught.value.body.param == "messages[1].tool_calls"
