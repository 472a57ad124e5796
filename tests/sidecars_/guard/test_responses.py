"""`/v1/responses`, from the client's side and the cache's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai.types.responses as sdk
import pytest

from llmops_sidecars.openai.answers import (
    ChunkChoice,
    Delta,
    FunctionDelta,
    LikelyToken,
    Logprobs,
    TokenLogprob,
    ToolCallDelta,
)
from llmops_sidecars.openai.errors import engine_failed, too_many_requests
from llmops_sidecars.openai.events import error_event
from tests.sidecars_.guard.kit import MAIL, SECRET, WRITER, FakeCache, guarded, said
from tests.support.asgi import Answer

PATH = "/v1/responses"
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def asked(given: object = "Hello", **fields: Any) -> dict[str, Any]:
    return {"model": "chat", "input": given, **fields}


def function(name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": NUMBER, "strict": True, **fields}


def call_delta(index: int, name: str | None, arguments: str | None) -> bytes:
    return WRITER.delta(Delta(tool_calls=(ToolCallDelta(index, "x", "function", FunctionDelta(name, arguments)),)))


DEEP: Any = "x"
for _ in range(40):
    DEEP = [DEEP]


def kinds(answer: Answer) -> list[str]:
    return [event["type"] for event in answer.events]


def final(answer: Answer, *, stream: bool) -> dict[str, Any]:
    """The whole response."""
    return dict(answer.events[-1]["response"] if stream else answer.json)


async def test_a_response_is_the_answer_and_what_was_asked_for(tmp_path: Path) -> None:
    fields = {
        "instructions": "Be kind.",
        "max_output_tokens": 20,
        "temperature": 0.5,
        "top_p": 0.0,
        "metadata": {"a": "b"},
        "user": "u",
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "low"},
        "store": False,
    }
    cache = FakeCache(said("Hello", " you"))
    answer = await guarded(tmp_path, cache).ask(asked(**fields), PATH, x_request_id="id-1")
    assert cache.requests == [
        {
            "model": "chat",
            "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_completion_tokens": 20,
            "temperature": 0.5,
            "top_p": 1e-6,
            "reasoning_effort": "low",
            "verbosity": "low",
        }
    ]
    response = sdk.Response.model_validate_json(answer.body)
    assert (response.id, response.status, response.output_text) == ("resp_id-1", "completed", "Hello you")
    assert (response.metadata, response.error) == ({"a": "b"}, None)
    assert answer.json["store"] is False
    assert (response.instructions, response.temperature, response.top_p) == ("Be kind.", 0.5, 0.0)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (3, 2, 5)


async def test_a_stream_tells_the_whole_sequence_of_events(tmp_path: Path) -> None:
    answer = await guarded(tmp_path, FakeCache(said("Hello ", "you"))).ask(asked(stream=True), PATH)
    assert answer.headers["content-type"].startswith("text/event-stream")
    deltas = kinds(answer).count("response.output_text.delta")
    assert kinds(answer) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in answer.events] == list(range(len(answer.events)))
    names = [line.removeprefix(b"event: ").decode() for line in answer.body.split(b"\n") if line.startswith(b"event:")]
    assert names == kinds(answer)
    assert "".join(event["delta"] for event in answer.events if "delta" in event) == "Hello you"
    (done,) = [event for event in answer.events if event["type"] == "response.output_text.done"]
    assert done["text"] == "Hello you"
    assert b"[DONE]" not in answer.body
    whole = await guarded(tmp_path, FakeCache(said("Hello ", "you"))).ask(asked(), PATH)
    streamed = final(answer, stream=True)
    assert streamed["output"][0]["content"] == whole.json["output"][0]["content"]
    assert streamed["usage"] == whole.json["usage"]


ITEMS: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be kind."},
    {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "What is "}, {"type": "input_text", "text": "1+1?"}],
    },
    {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": [
            {"type": "output_text", "text": "I ask.", "annotations": [], "logprobs": []},
            {"type": "refusal", "refusal": "No."},
        ],
    },
    {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": '{"n": 1}', "status": "completed"},
    {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "2"},
    {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "3"}]},
    {"type": "function_call", "call_id": "c3", "name": "f", "arguments": "{}"},
]


async def test_items_are_messages_calls_and_their_outputs(tmp_path: Path) -> None:
    cache = FakeCache(said("x"))
    await guarded(tmp_path, cache).ask(asked(ITEMS), PATH)

    def call(name: str, arguments: str) -> dict[str, Any]:
        return {"id": name, "function": {"name": "f", "arguments": arguments}, "type": "function"}

    assert cache.requests[0]["messages"] == [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "What is 1+1?"},
        {"role": "assistant", "content": "I ask.No.", "tool_calls": [call("c1", '{"n": 1}'), call("c2", "{}")]},
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
        {"role": "tool", "content": "3", "tool_call_id": "c2"},
        {"role": "assistant", "tool_calls": [call("c3", "{}")]},
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_are_items_of_their_own(tmp_path: Path, *, stream: bool) -> None:
    script = [
        WRITER.text("I ask. "),
        call_delta(0, "f", None),
        call_delta(0, None, '{"n":'),
        call_delta(0, None, " 1}"),
        call_delta(1, "g", '{"mail": "'),
        call_delta(1, None, f'{MAIL}"}}'),
        *said(reason="tool_calls")[1:],
    ]
    cache = FakeCache(script)
    tools = [function("f"), function("g", strict=False, parameters=None)]
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": name} for name in "fg"]}
    answer = await guarded(tmp_path, cache).ask(asked(stream=stream, tools=tools, tool_choice=choice), PATH)
    message, first, second = final(answer, stream=stream)["output"]
    assert (message["type"], message["content"][0]["text"]) == ("message", "I ask. ")
    assert [(one["type"], one["name"], one["arguments"], one["status"]) for one in (first, second)] == [
        ("function_call", "f", '{"n": 1}', "completed"),
        ("function_call", "g", '{"mail": "[EMAIL]"}', "completed"),
    ]
    assert first["call_id"] != second["call_id"]
    assert final(answer, stream=stream)["tools"] == [one | {"description": None} for one in tools]
    assert cache.requests[0]["tools"][0] == {
        "function": {"name": "f", "parameters": NUMBER, "strict": True},
        "type": "function",
    }
    if stream:
        of_first = [event for event in answer.events if event.get("item_id") == first["id"]]
        assert [event["type"] for event in of_first if event["type"].endswith("done")] == [
            "response.function_call_arguments.done"
        ]
        assert "".join(event["delta"] for event in of_first if "delta" in event) == '{"n": 1}'
        added = [event for event in answer.events if event["type"] == "response.output_item.added"]
        assert [event["item"]["type"] for event in added] == ["message", "function_call", "function_call"]
        done = [event for event in answer.events if event["type"] == "response.output_item.done"]
        assert [event["output_index"] for event in done] == [0, 1, 2]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_is_a_part_of_its_own(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache([WRITER.delta(Delta(refusal=f"Not to {MAIL}.")), *said()[1:]])
    answer = await guarded(tmp_path, cache).ask(asked(stream=stream), PATH)
    assert final(answer, stream=stream)["output"][0]["content"] == [{"refusal": "Not to [EMAIL].", "type": "refusal"}]
    if stream:
        told = [kind for kind in kinds(answer) if "refusal" in kind]
        assert told[-1] == "response.refusal.done"
        assert set(told[:-1]) == {"response.refusal.delta"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("script", "reason", "text"),
    [
        (said("It is long", reason="length"), "max_output_tokens", "It is long"),
        (said("It is Project X, they say"), "content_filter", "It is "),
        (said("Project X, they say"), "content_filter", ""),
    ],
    ids=["limit", "block", "block at once"],
)
async def test_a_response_that_was_cut_says_why(
    tmp_path: Path, script: list[bytes], reason: str, text: str, *, stream: bool
) -> None:
    cache = FakeCache(script)
    answer = await guarded(tmp_path, cache).ask(asked(stream=stream), PATH)
    response = final(answer, stream=stream)
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
    (message,) = response["output"]
    assert (message["status"], message["content"][0]["text"]) == ("incomplete", text)
    if stream:
        assert kinds(answer)[-1] == "response.incomplete"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_says_nothing_is_an_empty_message(tmp_path: Path, *, stream: bool) -> None:
    answer = await guarded(tmp_path, FakeCache(said())).ask(asked(stream=stream), PATH)
    assert final(answer, stream=stream)["output"][0]["content"][0]["text"] == ""


@pytest.mark.parametrize(
    ("error", "code"), [(engine_failed("It broke."), "server_error"), (too_many_requests(), "rate_limit_exceeded")]
)
async def test_a_stream_that_fails_says_so_in_its_own_events(tmp_path: Path, error: Any, code: str) -> None:
    cache = FakeCache([WRITER.role(), WRITER.text("Some words, at least. " * 5), error_event(error)])
    answer = await guarded(tmp_path, cache).ask(asked(stream=True), PATH)
    told, last = answer.events[-2:]
    assert (told["type"], told["code"], told["message"]) == ("error", error.body.code, error.body.message)
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert last["response"]["error"] == {"code": code, "message": error.body.message}
    assert [event["sequence_number"] for event in answer.events] == list(range(len(answer.events)))


async def test_a_response_that_fails_before_it_begins_is_a_status(tmp_path: Path) -> None:
    cache = FakeCache([too_many_requests(2).encode()], status=429)
    answer = await guarded(tmp_path, cache).ask(asked(stream=True), PATH)
    assert (answer.status, answer.error["code"]) == (429, "too_many_requests")


@pytest.mark.parametrize("stream", [True, False])
async def test_the_form_is_held_against_the_schema(tmp_path: Path, *, stream: bool) -> None:
    text = {"format": {"type": "json_schema", "name": "number", "schema": NUMBER, "strict": True}}
    good = await guarded(tmp_path, FakeCache(said('{"n": 1}'))).ask(asked(text=text, stream=stream), PATH)
    response = final(good, stream=stream)
    assert response["status"] == "completed"
    assert response["text"]["format"]["schema"] == NUMBER
    bad = await guarded(tmp_path, FakeCache(said('{"n": "x"}'))).ask(asked(text=text, stream=stream), PATH)
    if stream:
        assert kinds(bad)[-2:] == ["error", "response.failed"]
        assert bad.events[-2]["code"] == "answer_not_conforming"
    else:
        assert (bad.status, bad.error["code"]) == (502, "answer_not_conforming")


@pytest.mark.parametrize("stream", [True, False])
async def test_log_probabilities_stand_beside_their_text(tmp_path: Path, *, stream: bool) -> None:
    token = TokenLogprob("Hé", -0.5, None, (LikelyToken("A", -1.0),))
    said_with = WRITER.choice(ChunkChoice(0, Delta(content="Hé"), logprobs=Logprobs((token,))))
    cache = FakeCache([said_with, *said()[1:]])
    body = asked(stream=stream, include=["message.output_text.logprobs", "reasoning.encrypted_content"], top_logprobs=1)
    answer = await guarded(tmp_path, cache).ask(body, PATH)
    assert (cache.requests[0]["logprobs"], cache.requests[0]["top_logprobs"]) == (True, 1)
    expected = {
        "token": "Hé",
        "logprob": -0.5,
        "bytes": [72, 195, 169],
        "top_logprobs": [{"token": "A", "logprob": -1.0, "bytes": [65]}],
    }
    assert final(answer, stream=stream)["output"][0]["content"][0]["logprobs"] == [expected]
    if stream:
        (delta,) = [event for event in answer.events if event["type"] == "response.output_text.delta"]
        assert delta["logprobs"] == [expected]


async def test_obfuscated_deltas_carry_random_letters(tmp_path: Path) -> None:
    body = asked(stream=True, stream_options={"include_obfuscation": True})
    answer = await guarded(tmp_path, FakeCache(said("Hello"))).ask(body, PATH)
    obfuscated = [event["type"] for event in answer.events if event.get("obfuscation")]
    assert obfuscated == ["response.output_text.delta"]


async def test_a_prompt_template_may_stand_for_the_input(tmp_path: Path) -> None:
    cache = FakeCache(said("x"))
    prompt = {"id": "support", "variables": {"question": {"type": "input_text", "text": "Why?"}}}
    answer = await guarded(tmp_path, cache).ask({"model": "chat", "prompt": prompt}, PATH)
    assert [one["content"] for one in cache.requests[0]["messages"]] == ["You help customers of Acme.", "Why?"]
    assert answer.headers["x-llmops-prompt"] == "support@t1"
    assert answer.json["prompt"] == prompt


BAD: dict[str, tuple[object, str, str | None]] = {
    "no model": ({"input": "x"}, "missing_field", "model"),
    "no input": ({"model": "chat"}, "invalid_value", "input"),
    "no items": (asked([]), "invalid_value", "input"),
    "image": (
        asked([{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]),
        "unsupported_parameter",
        "input[0].content[0].type",
    ),
    "part without text": (
        asked([{"role": "user", "content": [{"type": "input_text"}]}]),
        "missing_field",
        "input[0].content[0].text",
    ),
    "message without role": (asked([{"type": "message", "content": "x"}]), "missing_field", "input[0].role"),
    "reference without type": (asked([{"id": "msg_1"}]), "unsupported_parameter", "input[0].type"),
    "message without content": (asked([{"role": "user"}]), "missing_field", "input[0].content"),
    "unknown role": (asked([{"role": "boss", "content": "x"}]), "invalid_value", "input[0].role"),
    "call without id": (
        asked([{"type": "function_call", "name": "f", "arguments": ""}]),
        "missing_field",
        "input[0].call_id",
    ),
    "output without id": (
        asked([{"type": "function_call_output", "output": ""}]),
        "unsupported_parameter",
        "input[0].call_id",
    ),
    "arguments no text": (
        asked([{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]),
        "invalid_value",
        "input[0].arguments",
    ),
    "part no object": (asked([{"role": "user", "content": ["x"]}]), "invalid_value", "input[0].content[0]"),
    "content a number": (asked([{"role": "user", "content": 1}]), "invalid_value", "input[0].content"),
    "deep input": (asked([{"role": "user", "content": DEEP}]), "invalid_value", "input[0].content[0]"),
    "variable an image": (
        asked(prompt={"id": "support", "variables": {"question": {"type": "input_image"}}}),
        "unsupported_parameter",
        "prompt.variables",
    ),
    "another item": (asked([{"type": "reasoning", "id": "r"}]), "unsupported_parameter", "input[0].type"),
    "a reference": (asked([{"type": "item_reference", "id": "r"}]), "unsupported_parameter", "input[0].type"),
    "another tool": (asked(tools=[{"type": "web_search"}]), "unsupported_parameter", "tools[0].type"),
    "tool without name": (asked(tools=[{"type": "function"}]), "missing_field", "tools[0].name"),
    "unknown choice": (asked(tools=[function()], tool_choice="maybe"), "invalid_value", "tool_choice"),
    "choice of another tool": (
        asked(tools=[function()], tool_choice={"type": "mcp"}),
        "unsupported_parameter",
        "tool_choice.type",
    ),
    "choice of no function": (asked(tool_choice={"type": "function"}), "missing_field", "tool_choice.name"),
    "bad parameters": (asked(tools=[function(parameters={"$ref": "#"})]), "invalid_value", "tools[0].parameters"),
    "unknown form": (asked(text={"format": {"type": "xml"}}), "invalid_value", "text.format.type"),
    "form without schema": (
        asked(text={"format": {"type": "json_schema", "name": "n"}}),
        "missing_field",
        "text.format.schema",
    ),
    "bad schema": (
        asked(text={"format": {"type": "json_schema", "name": "n", "schema": {"type": 1}}}),
        "invalid_value",
        "text.format.schema",
    ),
    "metadata": (asked(metadata={"a": 1}), "invalid_value", "metadata[...]"),
    "much metadata": (asked(metadata={str(number): "" for number in range(17)}), "invalid_value", "metadata"),
    "background": (asked(background=True), "unsupported_parameter", "background"),
    "stored": (asked(store=True), "unsupported_parameter", "store"),
    "former response": (asked(previous_response_id="resp_1"), "unsupported_parameter", "previous_response_id"),
    "conversation": (asked(conversation="conv_1"), "unsupported_parameter", "conversation"),
    "truncation": (asked(truncation="auto"), "unsupported_parameter", "truncation"),
    "moderation": (asked(moderation={"model": "m"}), "unsupported_parameter", "moderation"),
    "context": (asked(context_management=[{"type": "compaction"}]), "unsupported_parameter", "context_management"),
    "tokens": (asked(max_output_tokens=0), "invalid_value", "max_output_tokens"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "code", "param"), BAD.values(), ids=BAD)
async def test_a_wrong_request_is_refused_by_field(tmp_path: Path, body: object, code: str, param: str) -> None:
    cache = FakeCache(said("x"))
    answer = await guarded(tmp_path, cache).ask(body, PATH)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)
    assert cache.requests == []


@pytest.mark.parametrize("stream", [True, False])
async def test_a_secret_in_an_item_is_refused(tmp_path: Path, *, stream: bool) -> None:
    item = {"type": "function_call_output", "call_id": "c", "output": SECRET}
    answer = await guarded(tmp_path, FakeCache()).ask(asked([item], stream=stream), PATH)
    assert (answer.status, answer.error["code"]) == (400, "content_blocked")
