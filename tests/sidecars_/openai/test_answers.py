from __future__ import annotations

import msgspec
import openai.types.chat as sdk
import pytest

from llmops_sidecars.openai.answers import (
    Chunk,
    ChunkChoice,
    Delta,
    Model,
    ModelList,
    Usage,
    decode_chunk,
    encode_answer,
)
from llmops_sidecars.openai.errors import ApiError, engine_timeout


@pytest.mark.parametrize(
    ("data", "content", "reason", "usage"),
    [
        (b'{"choices": [{"index": 0, "delta": {"content": "a"}}]}', "a", None, None),
        (b'{"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": null}', None, "stop", None),
        (b'{"choices": [{"delta": {"content": "a", "reasoning_content": "x"}, "logprobs": {}}]}', "a", None, None),
        (b'{"choices": [{}], "usage": {"total_tokens": 3, "extra": 1}}', None, None, Usage(total_tokens=3)),
        (b'{"error": null, "choices": [{"delta": {"content": "a"}}]}', "a", None, None),
    ],
    ids=["least", "end", "unknown fields", "usage", "no error"],
)
def test_chunks_of_providers_are_read(
    data: bytes, content: str | None, reason: str | None, usage: Usage | None
) -> None:
    chunk = decode_chunk(data)
    (choice,) = chunk.choices
    assert (choice.delta.content, choice.finish_reason, chunk.tokens) == (content, reason, usage)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'"x"',
        b'{"choices": 1}',
        b'{"choices": [{"delta": {"content": 1}}]}',
        b'{"error": "x"}',
        b'{"a": "\xff"',
    ],
    ids=["empty", "array", "text", "choices", "content", "error as text", "invalid"],
)
def test_an_event_of_unknown_shape_is_a_failure_of_the_engine(data: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        decode_chunk(data)
    assert caught.value.code == "engine_failed"


def test_an_error_event_is_raised_as_that_error() -> None:
    with pytest.raises(ApiError, match="within 2 s") as caught:
        decode_chunk(engine_timeout("a token", 2).encode())
    assert caught.value.code == "engine_timeout"


def test_a_chunk_is_written_whole_and_only_with_what_it_has() -> None:
    chunk = Chunk("1", 7, "chat", (ChunkChoice(delta=Delta(content="a")),))
    assert msgspec.json.decode(encode_answer(chunk)) == {
        "id": "1",
        "created": 7,
        "model": "chat",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}],
    }
    assert (
        sdk.ChatCompletionChunk.model_validate_json(encode_answer(chunk), strict=True).choices[0].delta.content == "a"
    )


def test_the_list_of_models() -> None:
    assert msgspec.json.decode(encode_answer(ModelList((Model("chat", 7),)))) == {
        "object": "list",
        "data": [{"id": "chat", "object": "model", "created": 7, "owned_by": "llmops"}],
    }


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}}]}', "a"),
        (b'{"choices": [{"delta": {"content": "a"}, "finish_reason": null, "logprobs": null}], "usage": null}', "a"),
        (b'{"choices": [{"index": 1, "delta": {"content": "a"}}]}', ""),
        (b'{"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}', ""),
        (b'{"choices": [{"delta": {"content": "a"}, "logprobs": {}}]}', ""),
        (b'{"choices": [{"delta": {"content": "a", "refusal": "b"}}]}', ""),
        (b'{"choices": [{"delta": {"content": "a", "tool_calls": [{"index": 0}]}}]}', ""),
        (b'{"choices": [{"delta": {"content": "a"}}], "usage": {"total_tokens": 3}}', ""),
        (b'{"choices": [{"delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}]}', ""),
        (b'{"choices": []}', ""),
    ],
)
def test_only_a_chunk_that_does_nothing_else_is_its_text(data: bytes, text: str) -> None:
    assert decode_chunk(data).text == text
