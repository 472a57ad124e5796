"""A forbidden text in every place of every endpoint's requests and answers, streaming and not."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmops_sidecars.contract import Action, Pattern, PatternsRule, Policy, StreamWindow, WebhookRule
from llmops_sidecars.openai.answers import (
    Chunk,
    ChunkChoice,
    Delta,
    FunctionDelta,
    LikelyToken,
    Logprobs,
    TokenLogprob,
    ToolCallDelta,
    encode_answer,
)
from llmops_sidecars.openai.chat import ChatRequest
from llmops_sidecars.openai.chat_checks import REFUSED
from llmops_sidecars.openai.completions import CompletionRequest
from llmops_sidecars.openai.embeddings import EmbeddingsRequest
from llmops_sidecars.openai.events import encode_event
from llmops_sidecars.openai.responses.request import REFUSED as RESPONSES_REFUSED
from llmops_sidecars.openai.responses.request import ResponsesRequest
from tests.sidecars_.guard.hooks import hooked, serving_judge
from tests.sidecars_.guard.kit import SUPPORT, FakeCache, contract, guarded, said

FORBIDDEN = "xyzzyplugh"
RULE = PatternsRule((Pattern("forbidden", FORBIDDEN),))
SCHEMA = {
    "type": "object",
    "title": "a title",
    "properties": {"one": {"type": "string", "description": "a text", "enum": ["a value"], "default": "another"}},
    "required": ["one"],
    "$defs": {"two": {"const": ["deep", {"deeper": "deepest"}]}},
}
FUNCTION = {"name": "look", "description": "looks it up", "parameters": SCHEMA}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"one": "a value"}'}}

CHAT: dict[str, Any] = {
    "model": "chat",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}], "name": "dev"},
        {"role": "user", "name": "ada", "content": [{"type": "text", "text": "What"}, {"type": "text", "text": " is"}]},
        {"role": "assistant", "content": "It is", "refusal": "No.", "name": "bot", "tool_calls": [CALL]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "Not that."}]},
        {"role": "tool", "content": "a result", "tool_call_id": "c1"},
        {"role": "function", "content": "another", "name": "look"},
    ],
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "n": 1,
    "seed": 1,
    "temperature": 0.5,
    "top_p": 0.5,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "stop": ["halt", "stop here"],
    "logit_bias": {"50256": 1},
    "logprobs": True,
    "top_logprobs": 1,
    "tools": [{"type": "function", "function": FUNCTION | {"strict": True}}],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "parallel_tool_calls": False,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "form", "description": "the form", "schema": SCHEMA, "strict": True},
    },
    "reasoning_effort": "low",
    "verbosity": "low",
    "user": "someone",
    "safety_identifier": "somebody",
    "prompt": {"id": "support", "variables": {"question": "Why?", "company": "Acme"}, "version": "t1"},
    "store": False,
    "modalities": ["text"],
    "stream_options": {"include_usage": True, "include_obfuscation": False},
}  # fmt: skip

COMPLETIONS: dict[str, Any] = {
    "model": "chat",
    "prompt": ["Once upon", "a time"],
    "suffix": "",
    "stop": "halt",
    "user": "someone",
    "best_of": 1,
    "echo": False,
    **{name: CHAT[name] for name in ("max_tokens", "n", "seed", "temperature", "top_p", "logit_bias")},
    **{name: CHAT[name] for name in ("frequency_penalty", "presence_penalty", "stream_options")},
    "logprobs": 1,
}
RESPONSES: dict[str, Any] = {
    "model": "chat",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is it?"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "It"}, {"type": "refusal", "refusal": "No"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "a result"}]},
        {"type": "function_call_output", "call_id": "c1", "output": "another"},
        {"role": "user", "content": "And now?"},
    ],
    "instructions": "Be kind.",
    "prompt": CHAT["prompt"],
    "stream_options": {"include_obfuscation": False},
    "max_output_tokens": 5,
    "temperature": 0.5,
    "top_p": 0.5,
    "top_logprobs": 1,
    "include": ["message.output_text.logprobs"],
    "tools": [{"type": "function", **FUNCTION, "strict": True}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
    "parallel_tool_calls": False,
    "text": {
        "format": {"type": "json_schema", "name": "form", "description": "the form", "schema": SCHEMA, "strict": True},
        "verbosity": "low",
    },
    "reasoning": {"effort": "low", "summary": "auto"},
    "metadata": {"a key": "a value"},
    "user": "someone",
    "safety_identifier": "somebody",
    "truncation": "disabled",
}  # fmt: skip
EMBEDDINGS: dict[str, Any] = {
    "model": "chat",
    "input": ["one text", "another"],
    "encoding_format": "float",
    "dimensions": 2,
    "user": "someone",
}

ENDPOINTS = {
    "/v1/chat/completions": (CHAT, ChatRequest, {*REFUSED, "stream"}),
    "/v1/completions": (COMPLETIONS, CompletionRequest, {"stream"}),
    "/v1/responses": (RESPONSES, ResponsesRequest, {*RESPONSES_REFUSED, "stream"}),
    "/v1/embeddings": (EMBEDDINGS, EmbeddingsRequest, set[str]()),
}
STREAMING = ("/v1/chat/completions", "/v1/completions", "/v1/responses")

NOT_FORWARDED = {"user", "safety_identifier", "metadata", "include", "reasoning.summary"}
"""What stays at the guard: it is of no concern to the policy, and nobody but its author ever sees it."""

WORDS = {
    *("model", "role", "type", "mode", "effort", "reasoning_effort", "verbosity", "modalities", "truncation"),
    *("encoding_format", "suffix", "id", "version"),
}
"""Fields that take words of the API only, or names of what there is: others are refused before any rule sees them."""

Path_ = tuple[str | int, ...]


def places(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, bool]]:
    """The paths of all texts in a document; of the keys too, which are marked."""
    if isinstance(value, str):
        yield path, False
    elif isinstance(value, dict):
        for name, item in value.items():
            yield (*path, name), True
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def with_forbidden(document: Any, path: Path_, *, key: bool) -> Any:
    """The document with the forbidden text added in one place."""
    changed = copy.deepcopy(document)
    parent = changed
    for step in path[:-1]:
        parent = parent[step]
    last = path[-1]
    if key:
        parent[f"{last}{FORBIDDEN}"] = parent.pop(last)
    else:
        parent[last] = f"{parent[last]} {FORBIDDEN}" if parent[last] else FORBIDDEN
    return changed


FREE = ("parameters", "schema", "variables", "metadata", "logit_bias")
"""Fields whose keys are their author's."""

TABLE = [
    (path, where, key)
    for path, (document, _, _) in ENDPOINTS.items()
    for where, key in places(document)
    if not key or any(step in FREE for step in where[:-1])
]
IDS = [f"{path} {'.'.join(map(str, where))}{' (key)' if key else ''}" for path, where, key in TABLE]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("path", "where", "key"), TABLE, ids=IDS)
async def test_a_forbidden_text_in_a_request_is_found_wherever_it_stands(
    tmp_path: Path, path: str, where: Path_, *, key: bool, stream: bool
) -> None:
    document = with_forbidden(ENDPOINTS[path][0], where, key=key)
    if path in STREAMING:
        document["stream"] = stream
    cache = FakeCache(said('{"one": "a value"}'))
    used = contract(policy=Policy(input=(RULE,)), templates=(SUPPORT,))
    answer = await guarded(tmp_path, cache, used).ask(document, path)
    names = [str(step) for step in where if isinstance(step, str)]
    if ".".join(names) in NOT_FORWARDED or names[0] in NOT_FORWARDED:
        assert FORBIDDEN not in msgspec.json.encode([cache.requests, cache.received]).decode()
        return
    assert (answer.status, cache.requests) == (404 if names == ["model"] else 400, [])
    named = key and "variables" in names  # a variable that a template lacks is named, to its author
    assert named or FORBIDDEN not in answer.body.decode()
    assert answer.error["code"] == "content_blocked" or _is_word(names, key=key)


def _is_word(names: list[str], *, key: bool) -> bool:
    """Whether a place takes words of the API, or names of tools and variables that have to be there, only."""
    if names[-1] == "id" and "tool_calls" in names:
        return False
    named = names[0] in {"tools", "tool_choice"} and names[-1] == "name"
    return named or (names[-1] in WORDS and not key) or (key and "variables" in names)


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_the_table_has_every_field_and_all_of_it_passes_without_the_text(tmp_path: Path, path: str) -> None:
    document, struct, left_out = ENDPOINTS[path]
    assert set(document) == set(struct.__struct_fields__) - left_out
    used = contract(policy=Policy(input=(RULE,)), templates=(SUPPORT,))
    arguments = FunctionDelta("look", '{"one": "a value"}')
    called = encode(delta=Delta(tool_calls=(ToolCallDelta(0, "x", "function", arguments),)))
    script = said('{"one": "a value"}') if path != "/v1/chat/completions" else [called, *said(reason="tool_calls")[1:]]
    answer = await guarded(tmp_path, FakeCache(script if path in STREAMING else ()), used).ask(document, path)
    assert answer.status == 200


def test_the_exceptions_are_few() -> None:
    """Nearly all of the table is blocked by the policy itself."""
    left_out = [
        where for _, where, key in TABLE if _is_word([step for step in where if isinstance(step, str)], key=key)
    ]
    assert len(left_out) < 0.35 * len(TABLE)


def encode(**choice: Any) -> bytes:
    return encode_event(encode_answer(Chunk("x", 7, "m", (ChunkChoice(**choice),))))


def token(text: str, *, raw: bool = False, alternative: str = "b") -> TokenLogprob:
    return TokenLogprob(text, -1.0, tuple(FORBIDDEN.encode()) if raw else None, (LikelyToken(alternative, -2.0),))


def call(call_id: str = "c", kind: str = "function", name: str = "look", arguments: str = '{"one": "a"}') -> bytes:
    return encode(delta=Delta(tool_calls=(ToolCallDelta(0, call_id, kind, FunctionDelta(name, arguments)),)))


ANSWERS = {
    "content": encode(delta=Delta(content=f"It is {FORBIDDEN}.")),
    "content, cut": encode(delta=Delta(content=FORBIDDEN[:4])) + encode(delta=Delta(content=FORBIDDEN[4:])),
    "refusal": encode(delta=Delta(refusal=f"Not {FORBIDDEN}.")),
    "role": encode(delta=Delta(role=FORBIDDEN)),
    "call's id": call(FORBIDDEN),
    "call's type": call(kind=FORBIDDEN),
    "call's name": call(name=FORBIDDEN),
    "call's arguments": call(arguments=f'{{"one": "{FORBIDDEN}"}}'),
    "key in a call's arguments": call(arguments=f'{{"{FORBIDDEN}": 1}}'),
    "finish reason": encode(delta=Delta(content="a"), finish_reason=FORBIDDEN),
    "token": encode(delta=Delta(content="a"), logprobs=Logprobs((token(FORBIDDEN),))),
    "token's bytes": encode(delta=Delta(content="a"), logprobs=Logprobs((token("a", raw=True),))),
    "alternative token": encode(delta=Delta(content="a"), logprobs=Logprobs((token("a", alternative=FORBIDDEN),))),
    "token of a refusal": encode(delta=Delta(refusal="a"), logprobs=Logprobs(None, (token(FORBIDDEN),))),
    "tokens one after the other": encode(
        delta=Delta(content="ab"), logprobs=Logprobs((token(FORBIDDEN[:4]), token(FORBIDDEN[4:])))
    ),
    "id and model": encode_event(
        encode_answer(Chunk(FORBIDDEN, 7, FORBIDDEN, (ChunkChoice(delta=Delta(content="a")),)))
    ),
    "unknown field": encode_event(
        msgspec.json.encode({"choices": [{"index": 0, "delta": {"content": "a", "reasoning": FORBIDDEN}}]})
    ),
}


@pytest.mark.parametrize("action", [Action.BLOCK, Action.MASK])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", STREAMING)
@pytest.mark.parametrize("event", ANSWERS.values(), ids=ANSWERS)
async def test_a_forbidden_text_in_an_answer_never_leaves(
    tmp_path: Path, event: bytes, path: str, action: Action, *, stream: bool
) -> None:
    rule = PatternsRule((Pattern("forbidden", FORBIDDEN, action),))
    used = contract(policy=Policy(output=(rule,), stream=StreamWindow(16, 5.0)))
    guard = guarded(tmp_path, FakeCache(going_on(event)), used)
    answer = await guard.ask(asking_all(path, stream=stream), path)
    assert answer.status in {200, 502}
    assert not told(answer.body)


def asking_all(path: str, *, stream: bool, tool: str = "look") -> dict[str, Any]:
    """A request for all that an answer may hold; one function may be called."""
    return {"model": "chat", "stream": stream} | {
        "/v1/chat/completions": {
            "messages": [{"role": "user", "content": "x"}],
            "tools": [{"type": "function", "function": {"name": tool}}],
            "logprobs": True,
            "top_logprobs": 1,
        },
        "/v1/completions": {"prompt": "x", "logprobs": 1},
        "/v1/responses": {
            "input": "x",
            "tools": [{"type": "function", "name": tool}],
            "top_logprobs": 1,
            "include": ["message.output_text.logprobs"],
        },
    }[path]


def going_on(event: bytes) -> list[bytes]:
    """A whole answer that begins with an event."""
    words = [encode(delta=Delta(content="and so on "), logprobs=Logprobs((token("and so on "),))) for _ in range(8)]
    return [event, *words, *said(reason="stop")[1:]]


def told(body: bytes) -> bool:
    """Whether an answer has the forbidden text, as a text or as bytes; not where it repeats what may be called."""
    body = re.sub(rb'"tools":\[[^\]]*\]', b'"tools":[]', body)
    return FORBIDDEN.encode() in body or list(FORBIDDEN.encode()) in [list(one) for one in _numbers(body)]


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_a_service_is_asked_about_every_text_of_a_request(tmp_path: Path, path: str) -> None:
    document, markers = ENDPOINTS[path][0], list[str]()
    for _, where, key in sorted((one for one in TABLE if one[0] == path), key=lambda one: (one[2], -len(one[1]))):
        names = [str(step) for step in where if isinstance(step, str)]
        if names[0] in NOT_FORWARDED or ".".join(names) in NOT_FORWARDED or _is_word(names, key=key):
            continue
        document = with_forbidden(document, where, key=key)
        marker, plain = f"{FORBIDDEN}{len(markers)}e", msgspec.json.encode(document).decode()
        document = msgspec.json.decode(re.sub(rf"{FORBIDDEN}(?!\d)", marker, plain))
        markers.append(marker)
    cache = FakeCache(said('{"one": "a value"}') if path in STREAMING else ())
    async with serving_judge() as (service, url):
        guard = hooked(tmp_path, cache, WebhookRule(url))
        await guard.ask(document, path)
        asked = "\n".join(text for one in service.questions for text in one["texts"])
        assert markers
        assert [one for one in markers if one not in asked] == []
        forwarded, service.answer = len(cache.requests), {"action": "Block"}
        answer = await guard.ask(document, path)
    assert forwarded
    assert (answer.status, answer.error["code"], len(cache.requests)) == (400, "content_blocked", forwarded)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", STREAMING)
async def test_a_service_is_asked_about_every_text_of_an_answer_before_any_leaves(
    tmp_path: Path, path: str, *, stream: bool
) -> None:
    shown = set[str]()
    async with serving_judge() as (service, url):
        for name, event in ANSWERS.items():
            guard = hooked(tmp_path, cache := FakeCache(going_on(event)), WebhookRule(url), direction="output")
            service.answer = {"action": "Pass"}
            service.questions.clear()
            document = asking_all(path, stream=stream, tool=FORBIDDEN if name == "call's name" else "look")
            passed = await guard.ask(document, path)
            if told(passed.body):
                assert FORBIDDEN in "".join(text for one in service.questions for text in one["texts"]), name
                shown.add(name)
            service.answer, commits = {"action": "Block"}, list(cache.commits)
            blocked = await guard.ask(document, path)
            assert cache.commits == commits, name
            assert not told(blocked.body), name
            assert b"and so on" not in blocked.body, name
    assert shown >= SHOWN[path]


SHOWN = {
    "/v1/chat/completions": {"content", "content, cut", "refusal", "call's name", "call's arguments", "token's bytes"},
    "/v1/completions": {"content", "content, cut", "alternative token"},
    "/v1/responses": {"content", "content, cut", "refusal", "call's name", "call's arguments", "alternative token"},
}
"""What of the table of answers leaves at an endpoint, at least, when nobody minds."""


def _numbers(body: bytes) -> list[list[int]]:
    """All lists of numbers in an answer."""
    documents = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith((b"data: {", b"{"))]

    def found(value: Any) -> Iterator[list[int]]:
        if isinstance(value, list) and value and all(isinstance(one, int) for one in value):
            yield value
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                yield from found(item)

    return [one for document in documents for one in found(msgspec.json.decode(document))]
