from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmops_sidecars.openai.chat import (
    ChatRequest,
    ContentPart,
    Message,
    PromptReference,
    encode_request,
    message_text,
)
from llmops_sidecars.openai.chat_checks import REFUSED, decode_request
from llmops_sidecars.openai.errors import ApiError

USER = {"role": "user", "content": "Hi"}


def body(**fields: Any) -> bytes:
    return msgspec.json.encode({"model": "chat", "messages": [USER], **fields})


def nested(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": value}}


@pytest.mark.parametrize(
    ("document", "param", "code", "says"),
    [
        pytest.param(b"", None, "invalid_json", "truncated", id="empty"),
        pytest.param(b"{", None, "invalid_json", "truncated", id="cut"),
        pytest.param(b"[]", None, "invalid_json", "expected `object`", id="no object"),
        pytest.param(b'{"model": "\xff"}', None, "invalid_json", "not UTF-8", id="invalid UTF-8"),
        pytest.param(b'{"model": "\\ud800 and more"}', None, "invalid_json", "surrogate", id="lone surrogate"),
        pytest.param(b'{"model": NaN}', None, "invalid_json", "invalid character", id="NaN"),
        pytest.param(b'{"x": ' + b"[" * 100_000, None, "invalid_json", "nested too deeply", id="deep unknown field"),
        pytest.param(b'{"messages": []}', "model", "missing_field", "model: this field is required", id="no model"),
        pytest.param(b'{"model": ""}', "model", "invalid_value", "length >= 1", id="empty model"),
        pytest.param(b'{"model": "m"}', "messages", "invalid_value", "at least one message", id="no messages"),
        pytest.param(body(messages={}), "messages", "invalid_value", "expected `array`", id="messages no array"),
        pytest.param(
            body(messages=[USER, {"role": 1}]),
            "messages[1].role",
            "invalid_value",
            "expected `str`",
            id="role a number",
        ),
        pytest.param(
            body(messages=[{"role": "boss"}]), "messages[0].role", "invalid_value", "allowed values", id="unknown role"
        ),
        pytest.param(
            body(messages=[{"content": "x"}]),
            "messages[0].role",
            "missing_field",
            "required",
            id="message without role",
        ),
        pytest.param(
            body(messages=[{"role": "user", "content": 3}]),
            "messages[0].content",
            "invalid_value",
            "expected `str | array | null`",
            id="content a number",
        ),
        pytest.param(
            body(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
            "messages[0].content[0].type",
            "unsupported_parameter",
            "content other than text",
            id="image",
        ),
        pytest.param(
            body(messages=[USER, {"role": "user", "content": [{"type": "text"}]}]),
            "messages[1].content[0].text",
            "missing_field",
            "required",
            id="text part without text",
        ),
        pytest.param(body(temperature=2.5), "temperature", "invalid_value", "<= 2", id="temperature"),
        pytest.param(body(temperature="hot"), "temperature", "invalid_value", "got `str`", id="temperature a word"),
        pytest.param(body(top_p=1.1), "top_p", "invalid_value", "<= 1", id="top_p"),
        pytest.param(body(max_tokens=0), "max_tokens", "invalid_value", ">= 1", id="max_tokens"),
        pytest.param(body(max_tokens=2**70), "max_tokens", "invalid_value", "<= 2147483647", id="huge max_tokens"),
        pytest.param(body(stop=["a"] * 17), "stop", "invalid_value", "length <= 16", id="too many stop words"),
        pytest.param(body(stop=""), "stop", "invalid_value", "length >= 1", id="empty stop word"),
        pytest.param(body(n=5), "n", "invalid_value", "<= 4", id="n"),
        pytest.param(body(n=0), "n", "invalid_value", ">= 1", id="no choice"),
        pytest.param(body(n=10**9), "n", "invalid_value", "<= 4", id="huge n"),
        pytest.param(body(logprobs=True, top_logprobs=21), "top_logprobs", "invalid_value", "<= 20", id="alternatives"),
        pytest.param(body(top_logprobs=2), "top_logprobs", "invalid_value", "logprobs", id="alternatives alone"),
        pytest.param(
            body(tools=[{"type": "custom"}]), "tools[0].type", "unsupported_parameter", "no function", id="tool type"
        ),
        pytest.param(
            body(tools=[{"type": "function"}]), "tools[0].function", "missing_field", "required", id="empty tool"
        ),
        pytest.param(body(messages=[{"role": "user"}]), "messages[0].content", "missing_field", "required", id="empty"),
        pytest.param(
            body(messages=[{"role": "tool", "content": "x"}]),
            "messages[0].tool_call_id",
            "missing_field",
            "required",
            id="result of no call",
        ),
        pytest.param(
            body(messages=[{"role": "assistant", "tool_calls": [{"id": "1", "type": "custom", "custom": {}}]}]),
            "messages[0].tool_calls[0].type",
            "unsupported_parameter",
            "no function's call",
            id="another tool's call",
        ),
        pytest.param(
            body(messages=[{"role": "assistant", "tool_calls": [{"id": "1", "type": "function"}]}]),
            "messages[0].tool_calls[0].function",
            "missing_field",
            "required",
            id="call of nothing",
        ),
        pytest.param(
            body(messages=[{"role": "assistant", "function_call": {"name": "f", "arguments": ""}}]),
            "messages[0].function_call",
            "unsupported_parameter",
            "tool_calls",
            id="old form of a call",
        ),
        pytest.param(
            body(messages=[{"role": "assistant", "audio": {"id": "a"}}]),
            "messages[0].audio",
            "unsupported_parameter",
            "audio",
            id="audio in a message",
        ),
        pytest.param(body(modalities=["text", "audio"]), "modalities", "unsupported_parameter", "text", id="audio"),
        pytest.param(body(store=True), "store", "unsupported_parameter", "keeping", id="store"),
        pytest.param(body(logit_bias={"1": 101}), "logit_bias[...]", "invalid_value", "<= 100", id="bias"),
        pytest.param(body(reasoning_effort="most"), "reasoning_effort", "invalid_value", "allowed", id="effort"),
        pytest.param(
            body(response_format=nested(32)), "response_format", "invalid_value", "32 levels", id="deep format"
        ),
        pytest.param(body(prompt={"id": ""}), "prompt.id", "invalid_value", "length >= 1", id="empty template id"),
        pytest.param(
            body(prompt={"id": "a", "variables": {"x": [1]}}),
            "prompt.variables[...][0]",
            "invalid_value",
            "got `int`",
            id="variable an array of numbers",
        ),
    ],
)
def test_a_mistake_is_named_with_its_field(document: bytes, param: str | None, code: str, says: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode_request(document)
    error = caught.value
    assert (error.status, error.body.param, error.code) == (400, param, code)
    assert says in error.body.message


@pytest.mark.parametrize("field", REFUSED)
def test_what_cannot_be_honoured_is_refused_by_name(field: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode_request(body(**{field: {}}))
    assert (caught.value.status, caught.value.code, caught.value.body.param) == (400, "unsupported_parameter", field)


def test_an_error_does_not_repeat_what_the_client_sent() -> None:
    with pytest.raises(ApiError) as caught:
        decode_request(body(messages=[{"role": "my password is hunter2", "content": "x"}]))
    assert "hunter2" not in caught.value.encode().decode()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"metadata": {"a": 1}, "prediction": {}, "brand_new": [None]}, id="unknown fields"),
        pytest.param({"store": False, "modalities": ["text"]}, id="what changes nothing"),
        pytest.param({"n": 4}, id="as many choices as there may be"),
        pytest.param({"tools": [], "stop": []}, id="empty lists"),
        pytest.param({"stop": None, "tools": None, "n": None, "user": None, "logprobs": None}, id="nulls"),
        pytest.param({"n": 1, "logprobs": False, "stream": False}, id="supported values of the unsupported"),
        pytest.param({"response_format": nested(29)}, id="as deep as allowed"),
        pytest.param({"messages": [{"role": "assistant", "content": None}]}, id="content null"),
        pytest.param({"messages": [{"role": "assistant"}]}, id="content missing"),
        pytest.param({"messages": [], "prompt": {"id": "support"}}, id="a template instead of messages"),
        pytest.param({"messages": [{**USER, "weight": 1}]}, id="unknown field in a message"),
    ],
)
def test_what_clients_send_is_taken(fields: dict[str, Any]) -> None:
    assert decode_request(body(**fields)).model == "chat"


def test_every_known_field_survives_decoding_and_encoding() -> None:
    call = {"id": "call_1", "function": {"name": "f", "arguments": "{}"}, "type": "function"}
    document = {
        "model": "chat",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "content": "4", "tool_call_id": "call_1"},
            {"role": "user", "content": "Hi", "name": "ada"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "max_completion_tokens": 6,
        "n": 1,
        "seed": -1,
        "temperature": 0.5,
        "top_p": 0.9,
        "frequency_penalty": 1.0,
        "presence_penalty": -1.0,
        "stop": ["a", "b"],
        "logit_bias": {"50256": -100.0},
        "logprobs": True,
        "top_logprobs": 2,
        "tools": [{"function": {"name": "f", "parameters": {"type": "object"}, "strict": True}, "type": "function"}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "text"},
        "reasoning_effort": "low",
        "verbosity": "high",
        "user": "u",
        "safety_identifier": "s",
        "store": False,
        "modalities": ["text"],
        "prompt": {"id": "support", "variables": {"a": "x", "b": 1, "c": 1.5, "d": True}, "version": "3"},
    }
    assert set(document) == set(ChatRequest.__struct_fields__) - set(REFUSED)
    assert msgspec.json.decode(encode_request(decode_request(msgspec.json.encode(document)))) == document


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
    ],
    ids=["none", "old name", "new name", "both: the new one wins"],
)
def test_the_limit_on_tokens_has_two_names(fields: dict[str, Any], tokens: int | None) -> None:
    assert decode_request(body(**fields)).output_tokens == tokens


@pytest.mark.parametrize(
    ("stop", "words"), [(None, ()), ("end", ("end",)), (["a", "b"], ("a", "b"))], ids=["none", "one", "several"]
)
def test_stop_words_come_in_one_form(stop: object, words: tuple[str, ...]) -> None:
    assert decode_request(body(stop=stop)).stop_words == words


@pytest.mark.parametrize(
    ("fields", "streams", "wants_usage"),
    [
        ({}, False, False),
        ({"stream": True}, True, False),
        ({"stream": True, "stream_options": {"include_usage": True}}, True, True),
        ({"stream": True, "stream_options": {"include_obfuscation": False}}, True, False),
    ],
    ids=["plain", "stream", "with usage", "other options"],
)
def test_streaming_and_usage_are_asked_for(fields: dict[str, Any], streams: bool, wants_usage: bool) -> None:  # noqa: FBT001
    request = decode_request(body(**fields))
    assert (request.streams, request.wants_usage) == (streams, wants_usage)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("Hi", "Hi"),
        ((ContentPart("text", "a"), ContentPart("refusal", refusal="b"), ContentPart("text", "c")), "abc"),
        ((), ""),
    ],
    ids=["null", "string", "parts", "no parts"],
)
def test_the_text_of_a_message(content: Any, text: str) -> None:
    assert message_text(Message("user", content)) == text


def test_a_template_has_no_variables_by_default() -> None:
    assert PromptReference("a").variables is None
