"""The driver for providers, in front of a server that speaks their API."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmops_sidecars.contract import OpenAIEngine
from llmops_sidecars.engine.driver import EmbedRequest, EngineUnavailableError, Piece, Vectors, merged
from llmops_sidecars.engine.openai_http import OpenAIHttp
from llmops_sidecars.openai.answers import FunctionDelta, LikelyToken, TokenLogprob, ToolCallDelta, Usage
from llmops_sidecars.openai.chat import ChatRequest, FunctionDefinition, PromptReference, Tool
from llmops_sidecars.openai.embeddings import EmbeddingsRequest
from llmops_sidecars.openai.errors import ApiError
from tests.sidecars_.engine.fake_provider import KEY, USAGE, FakeProvider, delta
from tests.sidecars_.engine.kit import CHAT, asked, engine_app, generate, pieces_of
from tests.support.asgi import call, eventually, serving


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
async def engine(provider: FakeProvider, tmp_path: Path) -> AsyncIterator[OpenAIEngine]:
    (tmp_path / "key").write_text(KEY + "\n")
    async with serving(provider) as url:
        yield OpenAIEngine(f"{url}/v1/", "gpt-x", str(tmp_path / "key"))


@pytest.fixture
async def driver(engine: OpenAIEngine) -> AsyncIterator[OpenAIHttp]:
    driver = OpenAIHttp(engine)
    yield driver
    await driver.close()


async def test_an_answer_becomes_pieces(driver: OpenAIHttp) -> None:
    *texts, last = await pieces_of(driver, generate("Hi"))
    assert merged(texts) == [Piece("Hello", 2)]
    assert last == Piece("", 0, "stop", usage=Usage(3, 2, 5))


async def test_texts_that_come_together_leave_together(driver: OpenAIHttp, provider: FakeProvider) -> None:
    provider.events = [delta(content="a" * 9), *[delta(content="b")] * 50, delta("stop")]
    pieces = await pieces_of(driver, generate("Hi"))
    assert "".join(piece.text for piece in pieces) == "a" * 9 + "b" * 50
    assert sum(piece.tokens for piece in pieces) == 51


async def test_an_answer_that_is_too_long_is_cut_at_its_last_token(
    engine: OpenAIEngine, provider: FakeProvider
) -> None:
    provider.events = [*[delta(content="b")] * 50, delta("stop")]
    async with engine_app(engine, output_tokens=20) as app:
        answer = await call(app, "POST", CHAT, body=asked("Hi"))
    assert answer.text == "b" * 20


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([], []),
        ([Piece("a", 1), Piece("b", 1), Piece("c", 2)], [Piece("abc", 4)]),
        (
            [Piece("a", 1), Piece("b", 1, index=1), Piece("c", 1)],
            [Piece("a", 1), Piece("b", 1, index=1), Piece("c", 1)],
        ),
        ([Piece("a", 1), Piece("b", 1, "stop")], [Piece("a", 1), Piece("b", 1, "stop")]),
        ([Piece("a", 1), Piece("", 1, refusal="no"), Piece("b", 1)],) * 2,
        ([Piece("a", 1, usage=Usage(1, 1, 2)), Piece("b", 1)],) * 2,
    ],
    ids=["none", "texts", "choices", "an end", "a refusal", "usage"],
)
def test_only_texts_of_one_choice_are_merged(pieces: list[Piece], expected: list[Piece]) -> None:
    assert merged(pieces) == expected


@pytest.mark.parametrize(
    ("events", "last"),
    [
        ([delta(content="Hi"), delta("stop")], Piece("", 0, "stop")),
        ([delta("length", content="Hi")], Piece("Hi", 1, "length")),
        ([{"choices": [], "prompt_filter_results": []}, delta("stop", content="Hi")], Piece("Hi", 1, "stop")),
        ([delta("stop", content="Hi", reasoning_content="secret thoughts")], Piece("Hi", 1, "stop")),
        ([delta("stop", refusal="No")], Piece("", 1, "stop", refusal="No")),
        (
            [delta("tool_calls", tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}])],
            Piece("", 1, "tool_calls", tool_calls=(ToolCallDelta(0, "c", None, FunctionDelta("f", "{}")),)),
        ),
    ],
    ids=["no usage", "reason with text", "chunk without choices", "reasoning", "refusal", "tool call"],
)
async def test_the_ends_of_answers(
    driver: OpenAIHttp, provider: FakeProvider, events: list[dict[str, Any]], last: Piece
) -> None:
    provider.events = events
    assert (await pieces_of(driver, generate("Hi")))[-1] == last


def chosen(index: int, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"index": index, "delta": fields, "finish_reason": reason}


async def test_several_choices_keep_their_indexes(driver: OpenAIHttp, provider: FakeProvider) -> None:
    provider.events = [
        {"choices": [chosen(0, role="assistant", content=""), chosen(1, role="assistant", content="")]},
        {"choices": [chosen(1, content="b"), chosen(0, content="a")]},
        {"choices": [chosen(1, "length")]},
        {"choices": [chosen(0, "stop", content="c")]},
        USAGE,
    ]
    pieces = await pieces_of(driver, generate("Hi", n=2))
    assert pieces == [
        Piece("b", 1, index=1),
        Piece("a", 1),
        Piece(finish_reason="length", index=1),
        Piece("c", 1, "stop", usage=Usage(3, 2, 5)),
    ]
    assert provider.requests[0][2]["n"] == 2


LOGPROB = {"token": "Hi", "logprob": -0.25, "bytes": [72, 105]}


async def test_log_probabilities_pass(driver: OpenAIHttp, provider: FakeProvider) -> None:
    content, refusal = delta(content="Hi"), delta("stop", refusal="No")
    content["choices"][0]["logprobs"] = {"content": [LOGPROB | {"top_logprobs": [LOGPROB]}], "refusal": None}
    refusal["choices"][0]["logprobs"] = {"content": None, "refusal": [LOGPROB]}
    provider.events = [content, refusal]
    pieces = await pieces_of(driver, generate("Hi", logprobs=True, top_logprobs=1))
    token = LikelyToken("Hi", -0.25, (72, 105))
    assert [piece.logprobs for piece in pieces] == [
        (TokenLogprob(token.token, token.logprob, token.bytes, (token,)),),
        (TokenLogprob(token.token, token.logprob, token.bytes),),
    ]
    assert provider.requests[0][2] | {"logprobs": True, "top_logprobs": 1} == provider.requests[0][2]


async def test_what_only_a_provider_can_do_is_passed_on(driver: OpenAIHttp, provider: FakeProvider) -> None:
    tool = Tool(FunctionDefinition("f", parameters={"type": "object"}), "function")
    fields: dict[str, Any] = {
        "n": 1,
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
        "logit_bias": {"50256": -100.0},
        "seed": 7,
    }
    given = msgspec.convert(fields | {"model": "chat"}, ChatRequest)
    decoded = {name: getattr(given, name) for name in fields}
    await pieces_of(driver, generate("Hi", tools=(tool,), **decoded))
    assert provider.requests[0][2] | fields == provider.requests[0][2]
    assert provider.requests[0][2]["tools"][0]["function"]["name"] == "f"


async def test_embeddings_come_in_the_order_of_their_inputs(driver: OpenAIHttp, provider: FakeProvider) -> None:
    wanted = EmbeddingsRequest("chat", ("one", "two"), encoding_format="base64", dimensions=2, user="u")
    found = await driver.embed(EmbedRequest("req-1", wanted))
    assert found == Vectors(((0.5, -0.5), (0.0, 1.0)), 4)
    assert provider.requests == [
        (
            "/v1/embeddings",
            f"Bearer {KEY}",
            {"model": "gpt-x", "input": ["one", "two"], "encoding_format": "float", "dimensions": 2},
        )
    ]


BASE64 = {"data": [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAMA="}]}


async def test_a_provider_that_answers_in_base64_is_understood(driver: OpenAIHttp, provider: FakeProvider) -> None:
    provider.vectors = BASE64
    assert await driver.embed(EmbedRequest("", EmbeddingsRequest("chat", ((1, 2),)))) == Vectors(((1.0, -2.0),))


@pytest.mark.parametrize(
    "vectors",
    [
        {"data": []},
        {"data": [*BASE64["data"], {"object": "embedding", "index": 1, "embedding": [1.0]}]},
        {"data": [{"object": "embedding", "index": 1, "embedding": [1.0]}]},
        {"data": [{"object": "embedding", "index": 0, "embedding": "?"}]},
        {"error": "none"},
    ],
    ids=["too few", "too many", "another index", "no base64", "another shape"],
)
async def test_vectors_that_do_not_fit_are_a_failure(
    engine: OpenAIEngine, provider: FakeProvider, vectors: dict[str, Any]
) -> None:
    provider.vectors = vectors
    async with engine_app(engine) as app:
        answer = await call(app, "POST", "/v1/embeddings", body={"model": "chat", "input": "one"})
    assert (answer.status, answer.error["code"]) == (503, "engine_unavailable")


async def test_the_application_answers_in_openais_shape(engine: OpenAIEngine, provider: FakeProvider) -> None:
    body = {"model": "chat", "input": ["one", "two"]}
    async with engine_app(engine) as app:
        floats = await call(app, "POST", "/v1/embeddings", body=body)
        base64 = await call(app, "POST", "/v1/embeddings", body=body | {"encoding_format": "base64"})
        provider.refusal = (400, (), MESSAGE)
        refused = await call(app, "POST", "/v1/embeddings", body=body)
    assert floats.json == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -0.5]},
            {"object": "embedding", "index": 1, "embedding": [0.0, 1.0]},
        ],
        "model": "chat",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    assert floats.headers["x-llmops-engine"] == "primary"
    assert [one["embedding"] for one in base64.json["data"]] == ["AAAAPwAAAL8=", "AAAAAAAAgD8="]
    assert (refused.status, refused.error["code"]) == (400, "refused_by_provider")


async def test_the_request_is_passed_on_with_the_providers_model_and_the_key(
    driver: OpenAIHttp, provider: FakeProvider
) -> None:
    tool = Tool(FunctionDefinition("f", parameters={"type": "object"}), "function")
    request = generate("Hi", tools=(tool,), temperature=0.5, user="u", prompt=PromptReference("a"), output_tokens=50)
    await pieces_of(driver, request)
    ((path, authorization, body),) = provider.requests
    assert (path, authorization) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert body == {
        "model": "gpt-x",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 50,
        "temperature": 0.5,
        "user": "u",
        "tools": [{"function": {"name": "f", "parameters": {"type": "object"}}, "type": "function"}],
    }


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ({"max_tokens": 500}, {"max_tokens": 100}),
        ({}, {"max_completion_tokens": 100}),
    ],
    ids=["old name", "new name", "too many", "none"],
)
async def test_the_limit_is_sent_under_the_name_that_the_client_used(
    driver: OpenAIHttp, provider: FakeProvider, fields: dict[str, int], sent: dict[str, int]
) -> None:
    await pieces_of(driver, generate("Hi", output_tokens=100, **fields))
    body = provider.requests[0][2]
    assert {name: value for name, value in body.items() if name.startswith("max_")} == sent


def put_key(engine: OpenAIEngine, key: str) -> None:
    Path(str(engine.key_file)).write_text(key)


async def test_a_changed_key_counts_from_the_next_request_on(
    driver: OpenAIHttp, engine: OpenAIEngine, provider: FakeProvider
) -> None:
    await pieces_of(driver, generate("Hi"))
    put_key(engine, "sk-other")
    await pieces_of(driver, generate("Hi"))
    assert [authorization for _, authorization, _ in provider.requests] == [f"Bearer {KEY}", "Bearer sk-other"]


async def test_without_a_key_file_no_key_is_sent(engine: OpenAIEngine, provider: FakeProvider) -> None:
    driver = OpenAIHttp(msgspec.structs.replace(engine, key_file=None))
    await pieces_of(driver, generate("Hi"))
    await driver.close()
    assert provider.requests[0][1] is None


async def test_a_key_that_cannot_be_read_is_said_without_a_path(engine: OpenAIEngine, provider: FakeProvider) -> None:
    driver = OpenAIHttp(msgspec.structs.replace(engine, key_file="/nowhere/key"))
    with pytest.raises(ApiError, match="key cannot be read: No such file or directory") as caught:
        await pieces_of(driver, generate("Hi"))
    assert "nowhere" not in caught.value.body.message
    assert provider.requests == []


MESSAGE = msgspec.json.encode({"error": {"message": "maximum context length is 8", "type": "x", "code": 7}})


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (400, (), MESSAGE, (400, "refused_by_provider", "maximum context length is 8")),
        (422, (), b"<html>", (400, "refused_by_provider", "provider refuses")),
        (401, (), MESSAGE, (503, "engine_unavailable", "not available")),
        (404, (), MESSAGE, (503, "engine_unavailable", "not available")),
        (302, ((b"location", b"http://169.254.169.254/"),), b"", (503, "engine_unavailable", "not available")),
        (500, (), b"x" * 70_000, (503, "engine_unavailable", "not available")),
        (429, ((b"retry-after", b"17"),), MESSAGE, (429, "too_many_requests", "Too many")),
        (429, ((b"retry-after", b"Wed, 21 Oct"),), MESSAGE, (429, "too_many_requests", "Too many")),
    ],
    ids=["bad request", "no envelope", "bad key", "no model", "redirect", "huge error", "too many", "strange retry"],
)
async def test_refusals(
    engine: OpenAIEngine,
    provider: FakeProvider,
    status: int,
    headers: tuple[tuple[bytes, bytes], ...],
    body: bytes,
    expected: tuple[int, str, str],
) -> None:
    provider.refusal = (status, headers, body)
    async with engine_app(engine) as app:
        answer = await call(app, "POST", CHAT, body=asked("Hi"))
    assert (answer.status, answer.error["code"]) == expected[:2]
    assert expected[2] in answer.error["message"]
    if b"17" in dict(headers).values():
        assert answer.headers["retry-after"] == "17"


@pytest.mark.parametrize(
    ("events", "end"),
    [
        ([delta(content="Hi")], b"data: [DONE]\n\n"),
        ([delta(content="Hi")], b""),
        ([delta(content="Hi"), {"error": {"message": "overloaded", "code": 529}}], b""),
        ([delta(content="Hi"), {"error": {"message": KEY, "type": "t", "param": None, "code": "c"}}], b""),
        ([delta(content="Hi"), {"choices": [{"index": 1, "delta": {}}]}], b""),
        ([delta(content="Hi")], b"data: {nonsense}\n\n"),
        ([delta(content="Hi")], b"data: " + b"x" * 1_100_000),
    ],
    ids=["no reason", "cut", "error of its own", "error in the envelope", "second choice", "nonsense", "endless event"],
)
async def test_an_answer_that_breaks_off(
    engine: OpenAIEngine, provider: FakeProvider, events: list[dict[str, Any]], end: bytes
) -> None:
    provider.events, provider.end = events, end
    async with engine_app(engine) as app:
        answer = await call(app, "POST", CHAT, body=asked("Hi"))
    assert (answer.status, answer.text) == (200, "Hi")
    assert answer.events[-1]["error"]["code"] == "engine_failed"
    assert KEY.encode() not in answer.body


async def test_leaving_closes_the_providers_stream(driver: OpenAIHttp, provider: FakeProvider) -> None:
    provider.hang, provider.events = True, [delta(content="Hi")]
    async with contextlib.aclosing(driver.generate(generate("Hi"))) as pieces:
        await anext(pieces)
    await eventually(lambda: provider.left == 1)


async def test_a_provider_that_is_not_there(engine: OpenAIEngine) -> None:
    driver = OpenAIHttp(msgspec.structs.replace(engine, url="http://127.0.0.1:1/v1"))
    with pytest.raises(EngineUnavailableError):
        await pieces_of(driver, generate("Hi"))
    with pytest.raises(ApiError, match="not available"):
        await driver.probe()
    await driver.close()


async def test_a_probe_costs_nothing_and_checks_the_key(driver: OpenAIHttp, provider: FakeProvider) -> None:
    await driver.probe()
    assert provider.requests == [("/v1/models", f"Bearer {KEY}", None)]
    provider.refusal = (401, (), MESSAGE)
    with pytest.raises(ApiError, match="status 401"):
        await driver.probe()


async def test_the_key_is_in_no_log(
    engine: OpenAIEngine, provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.refusal = (500, (), KEY.encode())
    async with engine_app(engine) as app:
        await call(app, "POST", CHAT, body=asked("Hi"))
        await call(app, path="/probe")
    assert caplog.records
    assert not [record for record in caplog.records if KEY in str(vars(record))]
