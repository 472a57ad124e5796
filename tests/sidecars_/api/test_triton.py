"""The official client, guard and cache in front of a real Triton."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from openai import OpenAI

from llmops_sidecars.contract import Engine, TritonEmbedding, TritonInterface
from llmops_sidecars.engine.app import EngineApp
from llmops_sidecars.proxy.metrics import new_registry
from tests.sidecars_.api.kit import contract, service
from tests.sidecars_.engine.ways import Way, serving_interface

pytestmark = pytest.mark.triton

WORDS = "one two, grüße 🎈 — five"


def client_of(folder: Path, engine: Engine) -> Iterator[OpenAI]:
    used = msgspec.structs.replace(contract(), engine=engine)
    app = EngineApp(new_registry("llmops_cache"))
    app.configure(used)
    with (
        service(folder, used, behind=app) as running,
        OpenAI(base_url=running.api, api_key="key-1", max_retries=0) as client,
    ):
        yield client


@pytest.fixture(scope="module", params=["grpc", "http"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    """Of the interface that has log probabilities."""
    with serving_interface(TritonInterface.VLLM, iteration_ms=2) as server:
        yield from client_of(tmp_path_factory.mktemp("vllm"), Way(TritonInterface.VLLM, request.param).to(server))


def asked(text: str) -> Any:
    return [{"role": "user", "content": f"Repeat after me: {text}"}]


def test_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="chat", messages=asked(WORDS))
    assert (answer.choices[0].message.content or "").strip() == WORDS
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


def test_a_stream_whose_personal_data_is_masked_across_tokens(client: OpenAI) -> None:
    with client.chat.completions.stream(model="chat", messages=asked("call +49 30 1234567 or Ada now")) as stream:
        text = stream.get_final_completion().choices[0].message.content or ""
    assert text.strip() == "call [PHONE] or Ada now"


def test_a_blocked_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="chat", messages=asked("it is Project X they say"))
    assert answer.choices[0].finish_reason == "content_filter"
    assert (answer.choices[0].message.content or "").strip() == "it is"


def test_several_choices(client: OpenAI) -> None:
    with client.chat.completions.stream(model="chat", messages=asked("a b c"), n=3) as stream:
        choices = stream.get_final_completion().choices
    assert [(choice.message.content or "").strip() for choice in choices] == ["a b c"] * 3


def test_log_probabilities(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="chat", messages=asked("a ü"), logprobs=True, top_logprobs=2)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert "".join(one.token for one in logprobs.content or ()) == answer.choices[0].message.content


def test_a_limit_and_a_stop_word(client: OpenAI) -> None:
    limited = client.chat.completions.create(model="chat", messages=asked("a b c d e"), max_completion_tokens=2)
    assert limited.choices[0].finish_reason == "length"
    stopped = client.chat.completions.create(model="chat", messages=asked("a b STOP c"), stop=["STOP"])
    assert (stopped.choices[0].message.content or "").strip() == "a b"


def test_completions(client: OpenAI) -> None:
    answer = client.completions.create(model="chat", prompt=["Repeat after me: a", "Repeat after me: b"], max_tokens=9)
    assert [choice.text.strip() for choice in answer.choices] == ["a", "b"]


def test_responses(client: OpenAI) -> None:
    with client.responses.stream(model="chat", input=f"Repeat after me: {WORDS}") as stream:
        assert stream.get_final_response().output_text.strip() == WORDS


def test_what_this_engine_cannot_do_is_refused_by_name(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="chat", messages=asked("a"), response_format={"type": "json_object"})
    assert caught.value.param == "response_format"
    with pytest.raises(openai.BadRequestError, match="no embeddings"):
        client.embeddings.create(model="chat", input="a")


def test_embeddings(tmp_path: Path) -> None:
    interface = TritonInterface.ENSEMBLE
    with serving_interface(interface, iteration_ms=2) as server:
        engine = Way(interface, "grpc").to(server)
        made: Any = msgspec.structs.replace(engine, embedding=TritonEmbedding("embedding", "text", "vector"))
        for client in client_of(tmp_path, made):
            packed = client.embeddings.create(model="chat", input=["one", "two"])
            plain = client.embeddings.create(model="chat", input=["one", "two"], encoding_format="float")
    assert [one.embedding for one in packed.data] == [pytest.approx(one.embedding) for one in plain.data]
    assert packed.data[0].embedding != packed.data[1].embedding
