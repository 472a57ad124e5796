"""Requests that are made to cost much: about a megabyte each, refused in milliseconds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.sidecars_.guard.kit import FakeCache, guarded, question, said

SIZE = 1_000_000
MILLISECONDS = 50
CHAT, COMPLETIONS, RESPONSES, EMBEDDINGS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
)


def many(item: object) -> list[object]:
    """As many of them as a body takes."""
    return [item] * (SIZE // (len(msgspec.json.encode(item)) + 1) - 100)


def raw(fields: str) -> bytes:
    return b'{"model":"chat","messages":[{"role":"user","content":"x"}],' + fields.encode() + b"}"


def schema(document: Any) -> dict[str, Any]:
    return question(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": document}})


def tool(**fields: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": "f", **fields}}]


WIDE = {"properties": {f"p{number}": {"type": "string"} for number in range(30_000)}}
DOUBLING = {f"a{level}": {"anyOf": [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(300)} | {"a300": {}}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}

BOMBS: dict[str, tuple[str, object]] = {
    "arrays": (CHAT, b"[" * SIZE),
    "objects": (CHAT, b'{"a":' * (SIZE // 5)),
    "depth in an unknown field": (CHAT, raw('"x":' + "[" * SIZE)),
    "depth in a schema": (CHAT, raw('"tools":[{"function":{"name":"f","parameters":' + '{"a":' * (SIZE // 6))),
    "depth in an item": (RESPONSES, b'{"model":"chat","input":[{"role":"user","content":' + b"[" * SIZE),
    "a text": (CHAT, b'"' + b"x" * SIZE + b'"'),
    "spaces": (CHAT, b" " * SIZE + b"{}"),
    "no UTF-8": (CHAT, raw('"x":1').replace(b'"x"}', b'"' + b"\xff" * SIZE + b'"}')),
    "digits": (CHAT, raw('"temperature":' + "9" * SIZE)),
    "digits for n": (CHAT, raw('"n":' + "9" * SIZE)),
    "digits in a schema": (CHAT, raw('"tools":[{"function":{"name":"f","parameters":{"a":' + "9" * SIZE + "}}}]")),
    "an exponent": (CHAT, raw('"temperature":1e' + "9" * SIZE)),
    "a huge number": (CHAT, raw('"temperature":1e999')),
    "n": (CHAT, question(n=10**18)),
    "one key again and again": (CHAT, b"{" + b'"model":"chat",' * (SIZE // 15) + b'"messages":[]}'),
    "keys": (CHAT, msgspec.json.encode({str(number): 1 for number in range(90_000)})),
    "stop words": (CHAT, question(stop=many("x"))),
    "tools": (CHAT, question(tools=many(tool()[0]))),
    "messages": (CHAT, question() | {"messages": many({"role": "user", "content": "x"})}),
    "calls": (CHAT, {"model": "chat", "messages": [{"role": "assistant", "tool_calls": many(CALL)}]}),
    "biases": (CHAT, question(logit_bias={str(number): 1 for number in range(90_000)})),
    "a wide schema of a tool": (CHAT, question(tools=tool(parameters=WIDE))),
    "a wide strict schema": (CHAT, question(tools=tool(parameters=WIDE, strict=True))),
    "a wide schema": (CHAT, schema(WIDE)),
    "a long enumeration": (CHAT, schema({"enum": list(range(140_000))})),
    "a long pattern": (CHAT, schema({"pattern": "a" * SIZE})),
    "patterns": (CHAT, schema({"allOf": [{"pattern": f"[a-z]{{500}}{number}"} for number in range(101)]})),
    "a pattern that grows": (CHAT, schema({"pattern": "((a{500}){500}){500}"})),
    "references that double": (CHAT, schema({"$ref": "#/$defs/a0", "$defs": DOUBLING})),
    "references in a circle": (CHAT, schema({"allOf": [{"$ref": "#"}] * 900})),
    "prompts": (COMPLETIONS, {"model": "chat", "prompt": many("x")}),
    "tokens": (COMPLETIONS, {"model": "chat", "prompt": many(1)}),
    "lists of tokens": (COMPLETIONS, {"model": "chat", "prompt": many([1])}),
    "items": (RESPONSES, {"model": "chat", "input": many({"role": "user", "content": "x"})}),
    "parts": (RESPONSES, {"model": "chat", "input": [{"role": "user", "content": many({"type": "text", "text": ""})}]}),
    "metadata": (RESPONSES, {"model": "chat", "input": "x", "metadata": {str(number): "" for number in range(90_000)}}),
    "inputs": (EMBEDDINGS, {"model": "chat", "input": many("x")}),
}


@pytest.mark.parametrize(("path", "body"), BOMBS.values(), ids=BOMBS)
async def test_a_request_bomb_is_refused_in_milliseconds(tmp_path: Path, path: str, body: object) -> None:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    assert len(content) <= 1024 * 1024 + 100
    cache = FakeCache(said("x"))
    guard = guarded(tmp_path, cache)
    taken = []
    for _ in range(3):  # this machine has other things to do as well
        started = time.process_time()
        answer = await guard.ask(content, path)
        taken.append((time.process_time() - started) * 1000)
        assert answer.status in {400, 413}
    assert min(taken) < MILLISECONDS
    assert cache.requests == []


async def test_of_a_key_that_comes_twice_the_last_counts_for_rules_and_model_alike(tmp_path: Path) -> None:
    """What is checked is what is forwarded: nothing can hide behind the first one."""
    cache = FakeCache(said("x"))
    guard = guarded(tmp_path, cache)
    hidden = '{"role":"user","content":"hello","content":"jane.doe@example.com"}'
    await guard.ask(('{"model":"chat","messages":[' + hidden + "]}").encode())
    assert cache.requests[0]["messages"] == [{"role": "user", "content": "[EMAIL]"}]
