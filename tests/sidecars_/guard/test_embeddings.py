"""`/v1/embeddings`, from the client's side and the engine's."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import pytest

from llmops_sidecars.openai.errors import engine_unavailable
from tests.sidecars_.guard.kit import MAIL, SECRET, FakeCache, guarded

PATH = "/v1/embeddings"


def asked(given: object = "Hello", **fields: Any) -> dict[str, Any]:
    return {"model": "chat", "input": given, **fields}


@pytest.mark.parametrize(
    ("given", "inputs"), [("Hello", ["Hello"]), (["a", "b"], ["a", "b"])], ids=["a text", "a list"]
)
async def test_each_text_gets_a_vector(tmp_path: Path, given: object, inputs: list[str]) -> None:
    cache = FakeCache()
    guard = guarded(tmp_path, cache)
    answer = await guard.ask(asked(given, dimensions=2, user="u"), PATH)
    assert cache.requests == [{"model": "chat", "input": inputs, "dimensions": 2}]
    assert answer.json == {
        "object": "list",
        "model": "chat",
        "data": [
            {"object": "embedding", "index": place, "embedding": [float(place), 0.5]} for place in range(len(inputs))
        ],
        "usage": {"prompt_tokens": len(inputs), "total_tokens": len(inputs)},
    }
    assert answer.headers["x-llmops-revision"] == "r1"
    assert "guard;dur=" in answer.headers["server-timing"]
    assert await guard.metric('llmops_tokens_total{direction="input",revision="r1"}') == len(inputs)


async def test_vectors_come_in_base64_where_they_are_asked_for(tmp_path: Path) -> None:
    answer = await guarded(tmp_path, FakeCache()).ask(asked(encoding_format="base64"), PATH)
    (vector,) = answer.json["data"]
    assert struct.unpack("<2f", base64.b64decode(vector["embedding"])) == (0.0, 0.5)


async def test_every_text_goes_through_the_rules(tmp_path: Path) -> None:
    cache = FakeCache()
    guard = guarded(tmp_path, cache)
    await guard.ask(asked(["fine", f"I am {MAIL}"]), PATH)
    assert cache.requests[0]["input"] == ["fine", "I am [EMAIL]"]
    refused = await guard.ask(asked(["fine", f"It is {SECRET}"]), PATH)
    assert (refused.status, refused.error["code"]) == (400, "content_blocked")
    assert len(cache.requests) == 1


async def test_many_texts_are_checked_too(tmp_path: Path) -> None:
    cache = FakeCache()
    await guarded(tmp_path, cache).ask(asked([f"{number} {MAIL} " + "x" * 100 for number in range(700)]), PATH)
    assert all("[EMAIL]" in text for text in cache.requests[0]["input"])


BAD: dict[str, tuple[object, str, str | None]] = {
    "no input": ({"model": "chat"}, "missing_field", "input"),
    "tokens": (asked([1, 2]), "unsupported_parameter", "input"),
    "lists of tokens": (asked([[1, 2], [3]]), "unsupported_parameter", "input"),
    "empty": (asked(""), "invalid_value", "input[0]"),
    "none": (asked([]), "invalid_value", "input"),
    "too many": (asked(["x"] * 2049), "invalid_value", "input"),
    "unknown form": (asked(encoding_format="hex"), "invalid_value", "encoding_format"),
    "no dimension": (asked(dimensions=0), "invalid_value", "dimensions"),
}


@pytest.mark.parametrize(("body", "code", "param"), BAD.values(), ids=BAD)
async def test_a_wrong_request_is_refused_by_field(tmp_path: Path, body: object, code: str, param: str) -> None:
    cache = FakeCache()
    answer = await guarded(tmp_path, cache).ask(body, PATH)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)
    assert cache.requests == []


async def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    answer = await guarded(tmp_path, FakeCache()).ask(asked() | {"model": "other"}, PATH)
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


UNKNOWN = {
    "no JSON": b"hello",
    "another object": b'{"data": "x"}',
    "too few vectors": b'{"data": [], "model": "m"}',
    "words for numbers": b'{"data": [{"index": 0, "embedding": "a secret"}], "model": "m"}',
    "text for numbers": b'{"data": [{"index": 0, "embedding": ["a"]}], "model": "m"}',
}


@pytest.mark.parametrize("body", UNKNOWN.values(), ids=UNKNOWN)
async def test_an_answer_of_unknown_shape_is_a_failure_of_the_engine(tmp_path: Path, body: bytes) -> None:
    answer = await guarded(tmp_path, FakeCache([body])).ask(asked(), PATH)
    assert (answer.status, answer.error["code"]) == (502, "engine_failed")


async def test_the_engines_error_is_passed_on(tmp_path: Path) -> None:
    answer = await guarded(tmp_path, FakeCache([engine_unavailable().encode()], status=503)).ask(asked(), PATH)
    assert (answer.status, answer.error["code"]) == (503, "engine_unavailable")
