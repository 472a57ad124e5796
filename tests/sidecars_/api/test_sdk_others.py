"""The other endpoints by the official client, synchronous and asynchronous."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import FunctionToolParam, ResponseInputParam
from pydantic import BaseModel

from llmops_sidecars.openai.answers import Delta
from llmops_sidecars.openai.errors import engine_failed, too_many_requests
from tests.sidecars_.api.kit import WRITER, Service, called, said, service


class City(BaseModel):
    name: str
    people: int


WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "description": None,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}


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


def test_a_response(running: Service, client: OpenAI) -> None:
    response = client.responses.create(
        model="chat", input="Hello", instructions="Be kind.", temperature=0.5, metadata={"a": "b"}, max_output_tokens=20
    )
    assert (response.output_text, response.status) == ("Hello there", "completed")
    assert (response.instructions, response.temperature, response.metadata) == ("Be kind.", 0.5, {"a": "b"})
    assert response.usage is not None
    assert response.usage.output_tokens == 2
    assert [one["role"] for one in running.engine.requests[-1]["messages"]] == ["system", "user"]


async def test_a_response_later(later: AsyncOpenAI) -> None:
    assert (await later.responses.create(model="chat", input="Hello")).output_text == "Hello there"


def test_a_stream_of_a_response(client: OpenAI) -> None:
    events = list(client.responses.create(model="chat", input="Hello", stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Hello there"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "Hello there"


def test_the_stream_helper(client: OpenAI) -> None:
    with client.responses.stream(model="chat", input="Hello") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert final.output_text == "Hello there"


async def test_the_stream_helper_later(later: AsyncOpenAI) -> None:
    async with later.responses.stream(model="chat", input="Hello") as stream:
        async for _ in stream:
            pass
        assert (await stream.get_final_response()).output_text == "Hello there"


def test_parse_gives_an_object(running: Service, client: OpenAI) -> None:
    running.engine.says('{"name": "Rome", "people": 2}')
    response = client.responses.parse(model="chat", input="Hello", text_format=City)
    assert response.output_parsed == City(name="Rome", people=2)
    with client.responses.stream(model="chat", input="Hello", text_format=City) as stream:
        assert stream.get_final_response().output_parsed == City(name="Rome", people=2)


async def test_parse_gives_an_object_later(running: Service, later: AsyncOpenAI) -> None:
    running.engine.says('{"name": "Rome", "people": 2}')
    response = await later.responses.parse(model="chat", input="Hello", text_format=City)
    assert response.output_parsed == City(name="Rome", people=2)


def test_a_round_trip_of_tools(running: Service, client: OpenAI) -> None:
    running.engine.once(called(("weather", '{"city": "Rome"}')), said("It rains."))
    first = client.responses.create(model="chat", input="Will it rain?", tools=[WEATHER])
    (call,) = first.output
    assert call.type == "function_call"
    assert (call.name, call.arguments, call.status) == ("weather", '{"city": "Rome"}', "completed")
    items: ResponseInputParam = [
        {"role": "user", "content": "Will it rain?"},
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "rain"},
    ]
    second = client.responses.create(model="chat", input=items, tools=[WEATHER])
    assert second.output_text == "It rains."
    asked = running.engine.requests[-1]["messages"]
    assert asked[1]["tool_calls"][0]["id"] == asked[2]["tool_call_id"] == call.call_id


def test_what_a_response_said_can_be_given_back_as_it_is(running: Service, client: OpenAI) -> None:
    first = client.responses.create(model="chat", input="Hello")
    items = [{"role": "user", "content": "Hello"}, *[item.model_dump(exclude_none=True) for item in first.output]]
    again = client.responses.create(model="chat", input=[*items, {"role": "user", "content": "Go on"}])  # type: ignore[list-item]
    assert again.output_text == "Hello there"
    assert [one["content"] for one in running.engine.requests[-1]["messages"]] == ["Hello", "Hello there", "Go on"]


def test_calls_on_a_stream_are_put_together(running: Service, client: OpenAI) -> None:
    running.engine.does(*called(("weather", '{"city": "Rome"}'), ("weather", '{"city": "Bern"}')))
    with client.responses.stream(model="chat", input="Hello", tools=[WEATHER]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert [event.arguments for event in done] == ['{"city": "Rome"}', '{"city": "Bern"}']
    assert [item.type for item in final.output] == ["function_call", "function_call"]


def test_a_refusal(running: Service, client: OpenAI) -> None:
    running.engine.does(WRITER.delta(Delta(refusal="I will not.")), *said()[1:])
    (message,) = client.responses.create(model="chat", input="Hello").output
    assert message.type == "message"
    assert (message.content[0].type, getattr(message.content[0], "refusal", None)) == ("refusal", "I will not.")


def test_a_response_that_was_cut_says_why(running: Service, client: OpenAI) -> None:
    running.engine.says("It is long", reason="length")
    response = client.responses.create(model="chat", input="Hello")
    assert response.incomplete_details is not None
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_a_stream_that_fails_says_so(running: Service, client: OpenAI) -> None:
    running.engine.does(*said("Hello, you. " * 10)[:2], engine_failed("It broke."))
    events = list(client.responses.create(model="chat", input="Hello", stream=True))
    assert events[-2].type == "error"
    assert (events[-2].code, events[-2].message) == ("engine_failed", "It broke.")
    assert events[-1].type == "response.failed"
    assert events[-1].response.error is not None
    assert events[-1].response.error.code == "server_error"


@pytest.mark.parametrize("fields", [{"previous_response_id": "resp_1"}, {"store": True}, {"background": True}])
def test_what_would_have_to_be_stored_is_refused_by_name(client: OpenAI, fields: dict[str, object]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="chat", input="x", extra_body=fields)
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", next(iter(fields)))


def test_a_completion_and_its_stream(running: Service, client: OpenAI) -> None:
    whole = client.completions.create(model="chat", prompt=["one", "two"], max_tokens=5, stop=["\n"])
    assert [choice.text for choice in whole.choices] == ["Hello there", "Hello there"]
    assert whole.usage is not None
    assert whole.usage.total_tokens == 10
    stream = client.completions.create(model="chat", prompt="one", stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "Hello there"
    assert chunks[-1].usage is not None
    running.engine.does(too_many_requests(1))
    with pytest.raises(openai.RateLimitError):
        client.completions.create(model="chat", prompt="three")


async def test_a_completion_later(later: AsyncOpenAI) -> None:
    stream = await later.completions.create(model="chat", prompt="one", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "Hello there"


def test_embeddings_in_both_forms(running: Service, client: OpenAI) -> None:
    packed = client.embeddings.create(model="chat", input=["one", "two"], dimensions=2)
    assert running.engine.requests[-1]["encoding_format"] == "base64"
    plain = client.embeddings.create(model="chat", input=["one", "two"], encoding_format="float")
    assert [one.embedding for one in packed.data] == [one.embedding for one in plain.data] == [[0.0, 0.5], [1.0, 0.5]]
    assert (packed.model, packed.usage.total_tokens) == ("chat", 2)
    with pytest.raises(openai.BadRequestError, match="no policy can read"):
        client.embeddings.create(model="chat", input=[1, 2, 3])


async def test_embeddings_later(later: AsyncOpenAI) -> None:
    assert (await later.embeddings.create(model="chat", input="one")).data[0].embedding == [0.0, 0.5]


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["chat"]
    assert client.models.retrieve("chat").owned_by == "llmops"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


async def test_models_later(later: AsyncOpenAI) -> None:
    assert [model.id async for model in later.models.list()] == ["chat"]


def test_a_base_url_without_the_version_works_too(running: Service) -> None:
    with OpenAI(base_url=running.url, api_key="x", max_retries=0) as bare:
        assert bare.responses.create(model="chat", input="Hello").output_text == "Hello there"
        assert [model.id for model in bare.models.list()] == ["chat"]
