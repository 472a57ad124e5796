"""Chat by the official client, synchronous and asynchronous."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.lib._tools import pydantic_function_tool
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from llmops_sidecars.openai.answers import ChunkChoice, Delta, LikelyToken, Logprobs, TokenLogprob
from llmops_sidecars.openai.errors import engine_failed, engine_unavailable, too_many_requests
from tests.sidecars_.api.kit import WRITER, Service, called, said, service

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
KEY = "AKIAIOSFODNN7EXAMPLE"


class City(BaseModel):
    name: str
    people: int


class GetWeather(BaseModel):
    """Tells the weather."""

    city: str
    days: int


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("service")) as one:
        yield one


@pytest.fixture
def client(running: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=running.api, api_key="key-1", max_retries=0) as one:
        yield one


@pytest.fixture
async def later(running: Service) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=running.api, api_key="key-1", max_retries=0) as one:
        yield one


def test_a_whole_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="chat",
        messages=[{"role": "developer", "content": [{"type": "text", "text": "Be kind."}]}, *HELLO],
        max_completion_tokens=50,
        metadata={"any": "thing"},
        service_tier="auto",
        store=False,
        modalities=["text"],
        prediction={"type": "content", "content": "Hello"},
        extra_body={"brand_new_field": [1]},
    )
    assert answer.choices[0].message.content == "Hello there"
    assert (answer.choices[0].finish_reason, answer.model, answer.object) == ("stop", "chat", "chat.completion")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 5
    assert answer._request_id
    assert answer.id == f"chatcmpl-{answer._request_id}"


async def test_a_whole_answer_later(later: AsyncOpenAI) -> None:
    answer = await later.chat.completions.create(model="chat", messages=HELLO)
    assert answer.choices[0].message.content == "Hello there"


def test_a_stream(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="chat", messages=HELLO, stream=True, stream_options={"include_usage": True, "include_obfuscation": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello there"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []


async def test_a_stream_later(later: AsyncOpenAI) -> None:
    stream = await later.chat.completions.create(model="chat", messages=HELLO, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hello there"


def test_the_stream_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(model="chat", messages=HELLO) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    assert "".join(event.delta for event in events if event.type == "content.delta") == "Hello there"
    assert [event.content for event in events if event.type == "content.done"] == ["Hello there"]
    assert final.choices[0].message.content == "Hello there"


async def test_the_stream_helper_later(later: AsyncOpenAI) -> None:
    async with later.chat.completions.stream(model="chat", messages=HELLO) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == "Hello there"


def test_several_choices(running: Service, client: OpenAI) -> None:
    answer = client.chat.completions.create(model="chat", messages=HELLO, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert running.engine.requests[-1]["n"] == 3
    with client.chat.completions.stream(model="chat", messages=HELLO, n=2) as stream:
        final = stream.get_final_completion()
    assert [choice.message.content for choice in final.choices] == ["Hello there", "Hello there"]


def test_log_probabilities(running: Service, client: OpenAI) -> None:
    token = TokenLogprob("Hello", -0.5, tuple(b"Hello"), (LikelyToken("Hi", -1.5, tuple(b"Hi")),))
    event = WRITER.choice(ChunkChoice(0, Delta(content="Hello"), logprobs=Logprobs((token,))))
    running.engine.does(event, *said()[1:])
    answer = client.chat.completions.create(model="chat", messages=HELLO, logprobs=True, top_logprobs=1)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert (logprobs.content[0].token, logprobs.content[0].top_logprobs[0].token) == ("Hello", "Hi")
    with client.chat.completions.stream(model="chat", messages=HELLO, logprobs=True, top_logprobs=1) as stream:
        final = stream.get_final_completion().choices[0].logprobs
    assert final is not None
    assert final.content == logprobs.content


def test_parse_gives_an_object(running: Service, client: OpenAI) -> None:
    running.engine.says('{"name": "Berlin", ', '"people": 3900000}')
    answer = client.chat.completions.parse(model="chat", messages=HELLO, response_format=City)
    assert answer.choices[0].message.parsed == City(name="Berlin", people=3900000)
    assert running.engine.requests[-1]["response_format"]["json_schema"]["strict"] is True
    with client.chat.completions.stream(model="chat", messages=HELLO, response_format=City) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == City(name="Berlin", people=3900000)


async def test_parse_gives_an_object_later(running: Service, later: AsyncOpenAI) -> None:
    running.engine.says('{"name": "Berlin", "people": 1}')
    answer = await later.chat.completions.parse(model="chat", messages=HELLO, response_format=City)
    assert answer.choices[0].message.parsed == City(name="Berlin", people=1)


def test_what_cannot_be_parsed_is_an_error_before_it_reaches_the_parser(running: Service, client: OpenAI) -> None:
    running.engine.says('{"name": "Berlin"}')
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.parse(model="chat", messages=HELLO, response_format=City)
    assert (caught.value.status_code, caught.value.code) == (502, "answer_not_conforming")
    with (
        pytest.raises(openai.APIError, match="not what was asked for"),
        client.chat.completions.stream(model="chat", messages=HELLO, response_format=City) as stream,
    ):
        stream.get_final_completion()


def test_an_answer_that_was_cut_is_told_as_such(running: Service, client: OpenAI) -> None:
    running.engine.says('{"name": "Ber', reason="length")
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model="chat", messages=HELLO, response_format=City)
    running.engine.says("It is Project X, they say")
    with pytest.raises(openai.ContentFilterFinishReasonError):
        client.chat.completions.parse(model="chat", messages=HELLO, response_format=City, seed=2)


def test_a_round_trip_of_tools(running: Service, client: OpenAI) -> None:
    tool = pydantic_function_tool(GetWeather)
    running.engine.once(called(("GetWeather", '{"city": "Berlin", "days": 2}')), said("It rains."))
    first = client.chat.completions.parse(model="chat", messages=HELLO, tools=[tool])
    (call,) = first.choices[0].message.tool_calls or []
    assert first.choices[0].finish_reason == "tool_calls"
    assert call.function.parsed_arguments == GetWeather(city="Berlin", days=2)
    messages: list[Any] = [
        *HELLO,
        first.choices[0].message.model_dump(exclude={"parsed"}, exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    second = client.chat.completions.create(model="chat", messages=messages, tools=[tool])
    assert second.choices[0].message.content == "It rains."
    asked = running.engine.requests[-1]["messages"]
    assert asked[1]["tool_calls"][0]["id"] == asked[2]["tool_call_id"] == call.id
    assert json.loads(asked[1]["tool_calls"][0]["function"]["arguments"]) == {"city": "Berlin", "days": 2}


async def test_calls_on_a_stream_are_put_together(running: Service, later: AsyncOpenAI) -> None:
    arguments = '{"city": "Rome", "days": 1}'
    running.engine.does(*called(("GetWeather", arguments), ("GetWeather", arguments)))
    tools = [pydantic_function_tool(GetWeather)]
    async with later.chat.completions.stream(model="chat", messages=HELLO, tools=tools) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_completion()
    done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert [event.parsed_arguments for event in done] == [GetWeather(city="Rome", days=1)] * 2
    calls = final.choices[0].message.tool_calls or []
    assert len({call.id for call in calls}) == 2


def test_arguments_that_do_not_conform_are_an_error(running: Service, client: OpenAI) -> None:
    running.engine.does(*called(("GetWeather", '{"city": "Rome"}')))
    with pytest.raises(openai.InternalServerError, match="function's parameters"):
        client.chat.completions.create(model="chat", messages=HELLO, tools=[pydantic_function_tool(GetWeather)])


@pytest.mark.parametrize("error", [too_many_requests(1), engine_unavailable()], ids=["429", "503"])
def test_what_passes_is_tried_again_when_it_is_said_to(running: Service, client: OpenAI, error: Any) -> None:
    error.retry_after = 1
    running.engine.once([error])
    started = time.monotonic()
    answer = client.with_options(max_retries=2).chat.completions.create(model="chat", messages=HELLO)
    assert answer.choices[0].message.content == "Hello there"
    assert len(running.engine.requests) == 2
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize(
    ("fields", "expected", "status", "code"),
    [
        ({"messages": [{"role": "user", "content": KEY}]}, openai.BadRequestError, 400, "content_blocked"),
        ({"n": 5}, openai.BadRequestError, 400, "invalid_value"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, openai.BadRequestError, 400, "unsupported_parameter"),
        ({"model": "gpt"}, openai.NotFoundError, 404, "model_not_found"),
        ({"messages": [{"role": "user", "content": "x" * 2_000_000}]}, openai.APIStatusError, 413, "body_too_large"),
    ],
    ids=["blocked", "range", "unsupported", "model", "size"],
)
def test_a_refusal_has_its_class_and_is_not_tried_again(
    running: Service,
    client: OpenAI,
    fields: dict[str, Any],
    expected: type[openai.APIStatusError],
    status: int,
    code: str,
) -> None:
    asked: dict[str, Any] = {"model": "chat", "messages": HELLO} | fields
    with pytest.raises(expected) as caught:
        client.with_options(max_retries=3).chat.completions.create(**asked)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.request_id
    assert running.engine.requests == []


@pytest.mark.parametrize(
    ("error", "expected", "status"),
    [
        (too_many_requests(1), openai.RateLimitError, 429),
        (engine_unavailable(), openai.InternalServerError, 503),
    ],
    ids=["429", "503"],
)
def test_a_failure_has_its_class(
    running: Service, client: OpenAI, error: Any, expected: type[openai.APIStatusError], status: int
) -> None:
    running.engine.does(error)
    with pytest.raises(expected) as caught:
        client.chat.completions.create(model="chat", messages=HELLO)
    assert (caught.value.status_code, caught.value.body) == (status, json.loads(error.encode())["error"])


@pytest.mark.parametrize("ending", [engine_failed("It broke."), None], ids=["error", "cut"])
def test_a_stream_that_fails_raises_what_happened(running: Service, client: OpenAI, ending: Any) -> None:
    running.engine.does(*said("Hello, you. " * 10)[:2], ending)
    stream = client.chat.completions.create(model="chat", messages=HELLO, stream=True)
    received = [next(stream)]
    with pytest.raises(openai.APIError) as caught:
        received.extend(stream)
    assert caught.value.code == "engine_failed"


def test_a_client_that_gives_up_cancels_the_generation(running: Service, client: OpenAI) -> None:
    running.engine.does(30.0, *said("late"))
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(model="chat", messages=HELLO)
    deadline = time.monotonic() + 5
    while running.engine.left == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running.engine.left == 1


async def test_an_answer_from_the_cache_is_the_same(running: Service, later: AsyncOpenAI) -> None:
    texts, outcomes = [], []
    for _ in range(2):
        raw = await later.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
        outcomes.append(raw.headers["x-llmops-cache"])
        texts.append(raw.parse().choices[0].message.content)
    async with later.chat.completions.stream(model="chat", messages=HELLO) as stream:
        texts.append((await stream.get_final_completion()).choices[0].message.content)
    assert outcomes == ["miss", "hit"]
    assert texts == ["Hello there"] * 3
    assert len(running.engine.requests) == 1
