"""What a client may send wrong, and what it is told."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai import APIStatusError, AsyncOpenAI

from llmops_sidecars.contract import AllowedParameter, Limits, Parameter, Parameters, Template, TemplateCall, Variable
from llmops_sidecars.contract import Message as TemplateMessage
from tests.sidecars_.guard.kit import CHAT, FakeCache, contract, guarded, question, said
from tests.support.asgi import Sent, call, receiving
from tests.support.listening import listening

NESTED: Any = []
for _ in range(40):
    NESTED = [NESTED]

BAD_BODIES = {
    "broken json": (b'{"model": "chat", ', "invalid_json", None),
    "empty": (b"", "invalid_json", None),
    "no object": (b"[1]", "invalid_json", None),
    "invalid utf-8": (b'{"model":"chat","messages":[{"role":"user","content":"\xff\xfe"}]}', "invalid_json", None),
    "deep": (b"[" * 100_000, "invalid_json", None),
    "deep schema": (
        question(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"x": NESTED}}}),
        "invalid_value",
        "response_format",
    ),
    "no model": ({"messages": [{"role": "user", "content": "x"}]}, "missing_field", "model"),
    "no messages": ({"model": "chat"}, "invalid_value", "messages"),
    "wrong role": (
        {"model": "chat", "messages": [{"role": "boss", "content": "x"}]},
        "invalid_value",
        "messages[0].role",
    ),
    "wrong type": (question(temperature="hot"), "invalid_value", "temperature"),
    "out of range": (question(temperature=3), "invalid_value", "temperature"),
    "several answers": (question(n=5), "invalid_value", "n"),
    "image": (
        {"model": "chat", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "unsupported_parameter",
        "messages[0].content[0].type",
    ),
    "alternatives alone": (question(top_logprobs=1), "invalid_value", "top_logprobs"),
    "schema with a reference elsewhere": (
        question(
            response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"$ref": "http://a/b"}}}
        ),
        "invalid_value",
        "response_format.json_schema.schema",
    ),
    "many stop words": (question(stop=["x"] * 100), "invalid_value", "stop"),
    "half a character": (b'{"model":"chat","messages":[{"role":"user","content":"\\ud800"}]}', "invalid_json", None),
}


@pytest.mark.parametrize(("body", "code", "param"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_wrong_request_is_refused_by_field(tmp_path: Path, body: object, code: str, param: str | None) -> None:
    cache = FakeCache(said("x"))
    answer = await guarded(tmp_path, cache).ask(body)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]
    assert cache.requests == []


async def test_an_unknown_model_is_refused_with_the_known_one(tmp_path: Path) -> None:
    answer = await guarded(tmp_path, FakeCache()).ask(question() | {"model": "gpt-9"})
    assert (answer.status, answer.error["code"], answer.error["param"]) == (404, "model_not_found", "model")
    assert "'chat'" in answer.error["message"]


async def test_a_body_of_two_megabytes_is_refused_unread(tmp_path: Path) -> None:
    answer = await guarded(tmp_path, FakeCache()).ask(question("x" * 2_000_000))
    assert (answer.status, answer.error["code"]) == (413, "body_too_large")
    assert "connection" not in answer.headers, "who is cut while it sends would not see why"


@pytest.mark.parametrize("size", [2_000_000, 20_000_000])
async def test_a_client_that_still_sends_sees_that_its_body_is_too_large(tmp_path: Path, size: int) -> None:
    guard = guarded(tmp_path, FakeCache())
    messages: Any = [{"role": "user", "content": "x" * size}]
    async with (
        listening(guard.app) as running,
        AsyncOpenAI(base_url=f"http://127.0.0.1:{running.port}/v1", api_key="k", max_retries=0) as client,
    ):
        for _ in range(5):
            with pytest.raises(APIStatusError) as caught:
                await client.chat.completions.create(model="chat", messages=messages)
            assert caught.value.status_code == 413


async def test_a_body_in_chunks_is_cut_off_at_the_limit(tmp_path: Path) -> None:
    """Without a Content-Length: as soon as there is too much, not at its end."""
    guard = guarded(tmp_path, FakeCache(), contract(limits=Limits(body_bytes=4096)))
    chunk = {"type": "http.request", "body": b"x" * 1000, "more_body": True}
    sent = Sent()
    scope = {"type": "http", "method": "POST", "path": CHAT, "headers": [(b"transfer-encoding", b"chunked")]}
    async with asyncio.timeout(5):
        await guard.app(scope, receiving(*[chunk] * 5), sent)
    assert sent.messages[0]["status"] == 413


async def test_a_compressed_body_is_refused(tmp_path: Path) -> None:
    answer = await guarded(tmp_path, FakeCache()).ask(b"\x1f\x8b", content_encoding="gzip")
    assert (answer.status, answer.error["code"]) == (415, "unsupported_encoding")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("POST", "/v1/audio/speech", 404, "not_found"),
        ("POST", "/v1/v1/chat/completions", 404, "not_found"),
        ("POST", "/v1", 404, "not_found"),
        ("GET", "/v1/embeddings", 405, "method_not_allowed"),
        ("POST", "/v1/chat/completions/x", 404, "not_found"),
        ("POST", "/commit", 404, "not_found"),
        ("POST", "/drain", 404, "not_found"),
        ("GET", "/metrics", 404, "not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/models/other", 404, "model_not_found"),
    ],
)
async def test_nothing_else_is_served(tmp_path: Path, method: str, path: str, status: int, code: str) -> None:
    answer = await call(guarded(tmp_path, FakeCache()).app, method, path)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_model_is_listed_and_found(tmp_path: Path, slash: str) -> None:
    app = guarded(tmp_path, FakeCache()).app
    listed = (await call(app, "GET", f"/v1/models{slash}")).json
    one = (await call(app, "GET", f"/v1/models/chat{slash}")).json
    assert listed["object"] == "list"
    assert listed["data"] == [one]
    assert (one["id"], one["object"]) == ("chat", "model")
    assert isinstance(one["created"], int)


@pytest.mark.parametrize("path", [f"{CHAT}/", "/chat/completions", "/chat/completions/"])
async def test_a_trailing_slash_or_a_missing_prefix_is_no_mistake(tmp_path: Path, path: str) -> None:
    assert (await call(guarded(tmp_path, FakeCache(said("x"))).app, "POST", path, body=question())).status == 200
    assert (await call(guarded(tmp_path, FakeCache()).app, "GET", "/models")).status == 200


BAD_PROMPTS = {
    "unknown template": ({"id": "nope"}, "prompt_not_found", "prompt.id"),
    "other version": ({"id": "support", "version": "t0"}, "prompt_not_found", "prompt.version"),
    "missing variable": ({"id": "support"}, "missing_variable", "prompt.variables.question"),
    "surplus variable": (
        {"id": "support", "variables": {"question": "x", "extra": "y"}},
        "unknown_variable",
        "prompt.variables.extra",
    ),
    "wrong type": ({"id": "support", "variables": {"question": 5}}, "invalid_variable", "prompt.variables.question"),
    "too long": (
        {"id": "support", "variables": {"question": "x" * 101}},
        "invalid_variable",
        "prompt.variables.question",
    ),
    "a list": ({"id": "support", "variables": {"question": ["x"]}}, "invalid_variable", "prompt.variables.question"),
    "an object": ({"id": "support", "variables": {"question": {}}}, "invalid_value", "prompt.variables[...]"),
    "a list of numbers": (
        {"id": "support", "variables": {"question": [1]}},
        "invalid_value",
        "prompt.variables[...][0]",
    ),
}


@pytest.mark.parametrize(("prompt", "code", "param"), BAD_PROMPTS.values(), ids=BAD_PROMPTS)
async def test_a_template_used_wrongly_is_refused_by_field(
    tmp_path: Path, prompt: dict[str, object], code: str, param: str
) -> None:
    answer = await guarded(tmp_path, FakeCache()).ask({"model": "chat", "prompt": prompt})
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)


async def test_a_template_comes_before_the_messages_of_the_request(tmp_path: Path) -> None:
    cache = FakeCache(said("x"))
    prompt = {"id": "support", "version": "t1", "variables": {"question": "{{ company }}?"}}
    answer = await guarded(tmp_path, cache).ask(question("And now?") | {"prompt": prompt})
    assert answer.headers["x-llmops-prompt"] == "support@t1"
    assert cache.received[0]["x-llmops-prompt"] == "support@t1"
    assert cache.requests[0]["messages"] == [
        {"role": "system", "content": "You help customers of Acme."},
        {"role": "user", "content": "{{ company }}?"},
        {"role": "user", "content": "And now?"},
    ]
    assert "prompt" not in cache.requests[0]


async def test_a_template_may_hold_a_conversation_with_tools(tmp_path: Path) -> None:
    told = (
        TemplateMessage("developer", "Look it up."),
        TemplateMessage("assistant", tool_calls=(TemplateCall("c1", "weather", '{"city": "Bonn"}'),)),
        TemplateMessage("tool", "sunny in {{ city }}", tool_call_id="c1"),
        TemplateMessage("assistant", "It is sunny.", (TemplateCall("c2", "weather", "{}"),)),
    )
    template = Template("t", "1", told, (Variable("city", default="Bonn"),))
    cache = FakeCache(said("x"))
    await guarded(tmp_path, cache, contract(templates=(template,))).ask({"model": "chat", "prompt": {"id": "t"}})

    def call(identified: str, arguments: str) -> dict[str, object]:
        return {"id": identified, "type": "function", "function": {"name": "weather", "arguments": arguments}}

    assert cache.requests[0]["messages"] == [
        {"role": "developer", "content": "Look it up."},
        {"role": "assistant", "tool_calls": [call("c1", '{"city": "Bonn"}')]},
        {"role": "tool", "content": "sunny in Bonn", "tool_call_id": "c1"},
        {"role": "assistant", "content": "It is sunny.", "tool_calls": [call("c2", "{}")]},
    ]


async def test_the_default_template_is_used_when_none_is_named(tmp_path: Path) -> None:
    hello = Template("hello", "h1", (TemplateMessage("system", "Be {{ tone }}."),), (Variable("tone", default="kind"),))
    cache = FakeCache(said("x"))
    guard = guarded(tmp_path, cache, contract(templates=(hello,), default_template="hello"))
    assert (await guard.ask()).headers["x-llmops-prompt"] == "hello@h1"
    assert [one["content"] for one in cache.requests[0]["messages"]] == ["Be kind.", "Hello"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"temperature": 0.1, "top_p": 0.9, "max_tokens": 50, "stop": ["END"]}),
        ({"temperature": 0.0, "stop": "X"}, {"temperature": 0.0, "top_p": 0.9, "max_tokens": 50, "stop": "X"}),
        (
            {"max_completion_tokens": 7},
            {"temperature": 0.1, "top_p": 0.9, "max_completion_tokens": 7, "stop": ["END"]},
        ),
    ],
    ids=["none given", "some given", "newer name"],
)
async def test_the_templates_parameters_are_defaults(
    tmp_path: Path, given: dict[str, object], expected: dict[str, object]
) -> None:
    template = Template("t", "1", (TemplateMessage("user", "Hi"),), (), Parameters(0.1, 0.9, 50, ("END",)))
    cache = FakeCache(said("x"))
    guard = guarded(tmp_path, cache, contract(templates=(template,)))
    await guard.ask({"model": "chat", "prompt": {"id": "t"}} | given)
    sent = {name: value for name, value in cache.requests[0].items() if name not in {"model", "messages", "stream"}}
    assert sent == expected | {"stream_options": {"include_usage": True}}


async def test_a_completion_has_its_own_length_where_neither_it_nor_the_template_says_one(tmp_path: Path) -> None:
    allow = (AllowedParameter(Parameter.TEMPERATURE),)
    for given, expected in ((Parameters(allow=allow), 16), (Parameters(max_tokens=50, allow=allow), 50)):
        cache = FakeCache(said("x"))
        template = Template("t", "1", (TemplateMessage("system", "Hi"),), (), given)
        guard = guarded(tmp_path, cache, contract(templates=(template,), default_template="t"))
        answer = await guard.ask({"model": "chat", "prompt": "Hello"}, "/v1/completions")
        assert (answer.status, cache.requests[0]["max_tokens"]) == (200, expected)
        refused = await guard.ask({"model": "chat", "prompt": "Hello", "max_tokens": 9}, "/v1/completions")
        assert (refused.status, refused.error["param"]) == (400, "max_tokens")


@pytest.mark.parametrize(
    "body",
    [b"[" * 1_000_000, b'{"a":' * 200_000, msgspec.json.encode(question("1 " * 500_000)), b'"' + b"\\u0041" * 150_000],
    ids=["arrays", "objects", "numbers", "escapes"],
)
async def test_a_request_bomb_is_answered_soon(tmp_path: Path, body: bytes) -> None:
    guard = guarded(tmp_path, FakeCache(said("x")))
    started = time.process_time()
    answer = await guard.ask(body)
    assert answer.status in {200, 400}
    assert time.process_time() - started < 1


async def test_small_requests_are_answered_while_a_large_one_is_judged(tmp_path: Path) -> None:
    guard, answered = guarded(tmp_path, FakeCache(said("x"))), 0
    large = asyncio.create_task(guard.ask(question("1234567, " * 50_000)))
    while not large.done():
        answered += (await guard.ask()).status == 200
    assert (await large).status == 200
    assert answered > 20, "a few are before it is read"
