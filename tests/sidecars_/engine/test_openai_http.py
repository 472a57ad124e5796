"""The driver for providers, in front of a server that speaks their API."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmops_sidecars.contract import OpenAIEngine
from llmops_sidecars.engine.driver import EngineUnreachableError, Piece
from llmops_sidecars.engine.openai_http import OpenAIHttp
from llmops_sidecars.openai.answers import FunctionDelta, ToolCallDelta, Usage
from llmops_sidecars.openai.chat import FunctionDefinition, PromptReference, Tool
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.proxy.asgi import (
    Receive,
    Scope,
    Send,
    StreamSender,
    header,
    read_body,
    send_json,
    until_disconnect,
)
from tests.sidecars_.engine.kit import CHAT, asked, engine_app, generate, pieces_of
from tests.support.asgi import call, eventually, serving

KEY = "sk-test-1234"
USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}


def delta(reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "x", "model": "gpt-x", "choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}


ANSWER = [delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), delta("stop"), USAGE]


class FakeProvider:
    """An OpenAI-compatible server. `events` is what it streams, `refusal` a status, headers and a body instead."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = ANSWER
        self.end = b"data: [DONE]\n\n"
        self.refusal: tuple[int, tuple[tuple[bytes, bytes], ...], bytes] | None = None
        self.hang = False
        self.left = 0
        self.requests: list[tuple[str, str | None, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, 1024 * 1024)
        self.requests.append((scope["path"], header(scope, b"authorization"), msgspec.json.decode(body or b"null")))
        if self.refusal is not None:
            status, headers, content = self.refusal
            await send_json(send, status, content, headers)
        elif scope["path"] == "/v1/models":
            await send_json(send, 200, b'{"object": "list", "data": []}')
        else:
            await self._watched(receive, StreamSender(send))

    async def _watched(self, receive: Receive, sender: StreamSender) -> None:
        try:
            await until_disconnect(receive, self._stream(sender))
        except Exception:
            self.left += 1
            raise

    async def _stream(self, sender: StreamSender) -> None:
        await sender.start(200, ((b"content-type", b"text/event-stream"),))
        for event in self.events:
            await sender.write(b": keep-alive\r\n\r\ndata: " + msgspec.json.encode(event) + b"\r\n\r\n")
        if self.hang:
            await asyncio.Event().wait()
        await sender.write(self.end)
        await sender.end()


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
    pieces = await pieces_of(driver, generate("Hi"))
    assert pieces == [Piece("Hel", 1), Piece("lo", 1), Piece("", 0, "stop", usage=Usage(3, 2, 5))]


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
    with pytest.raises(EngineUnreachableError):
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
