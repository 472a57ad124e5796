"""The engine's application in front of a server that speaks Triton's HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from llmops_sidecars.contract import TritonHttpEngine
from llmops_sidecars.engine.app import EngineApp
from llmops_sidecars.proxy.inprocess import AppDownstream
from tests.sidecars_.engine.fake_triton import CUT, ECHO, FakeTriton
from tests.sidecars_.engine.kit import CHAT, asked, contract, engine_app
from tests.support.asgi import Answer, call, eventually, serving

PROMPT = f"{ECHO} one two three four"


@pytest.fixture
def fake() -> FakeTriton:
    return FakeTriton()


@pytest.fixture
async def url(fake: FakeTriton) -> AsyncIterator[str]:
    async with serving(fake) as url:
        yield url


async def ask(app: EngineApp, prompt: str = PROMPT, **fields: Any) -> Answer:
    return await call(app, "POST", CHAT, body=asked(prompt, **fields), headers=((b"x-request-id", b"req-7"),))


def outcomes(registry: CollectorRegistry) -> dict[str, float]:
    """The outcomes that have been counted."""
    samples = (sample for family in registry.collect() for sample in family.samples)
    return {
        sample.labels["outcome"]: sample.value
        for sample in samples
        if sample.name == "llmops_engine_requests_total" and sample.value
    }


def measured(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(name)


async def test_an_answer_streams_in_openais_form(fake: FakeTriton, url: str) -> None:
    async with engine_app(TritonHttpEngine(url)) as app:
        answer = await ask(app)
    assert (answer.status, answer.text) == (200, " one two three four")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert {event["id"] for event in answer.events[:-1]} == {"chatcmpl-req-7"}
    assert {event["model"] for event in answer.events[:-1]} == {"chat"}
    assert answer.events[-2]["usage"] == {"prompt_tokens": 0, "completion_tokens": 4, "total_tokens": 4}
    assert answer.events[-1] == "[DONE]"
    assert fake.requests[0]["id"] == "req-7"


async def test_the_contract_limits_the_answer(url: str) -> None:
    async with engine_app(TritonHttpEngine(url), output_tokens=2) as app:
        answer = await ask(app, max_tokens=100)
    assert answer.text == " one two"
    assert answer.events[-3]["choices"][0]["finish_reason"] == "length"


async def test_a_request_without_an_id_gets_one(fake: FakeTriton, url: str) -> None:
    async with engine_app(TritonHttpEngine(url)) as app:
        answers = [await call(app, "POST", CHAT, body=asked(PROMPT)) for _ in range(2)]
    assert len({answer.events[0]["id"] for answer in answers}) == 2
    assert len({request["id"] for request in fake.requests}) == 2


@pytest.mark.parametrize(
    ("faults", "limits", "status", "code", "outcome"),
    [
        ({"error_after_tokens": 0}, {}, 503, "engine_unavailable", "unavailable"),
        ({CUT: 0}, {}, 503, "engine_unavailable", "unavailable"),
        ({"hang_after_tokens": 0}, {"first_token_seconds": 0.1}, 503, "engine_timeout", "timeout"),
        ({"hang_after_tokens": 0}, {"request_seconds": 0.1}, 503, "engine_timeout", "timeout"),
    ],
    ids=["error", "cut", "no first token", "nothing in time"],
)
async def test_an_engine_that_fails_before_the_first_token(
    fake: FakeTriton, url: str, faults: dict[str, int], limits: dict[str, float], status: int, code: str, outcome: str
) -> None:
    fake.faults, registry = faults, CollectorRegistry()
    async with engine_app(TritonHttpEngine(url), registry, **limits) as app:
        answer = await ask(app)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert "retry-after" in answer.headers
    assert outcomes(registry) == {outcome: 1}


@pytest.mark.parametrize(
    ("faults", "limits", "code", "outcome"),
    [
        ({"error_after_tokens": 2}, {}, "engine_failed", "failed"),
        ({CUT: 2}, {}, "engine_failed", "failed"),
        ({"hang_after_tokens": 2}, {"inter_token_seconds": 0.1}, "engine_timeout", "timeout"),
        ({"iteration_ms": 30}, {"request_seconds": 0.1}, "engine_timeout", "timeout"),
    ],
    ids=["error", "cut", "no next token", "too slow"],
)
async def test_an_engine_that_fails_later(
    fake: FakeTriton, url: str, faults: dict[str, int], limits: dict[str, float], code: str, outcome: str
) -> None:
    fake.faults, registry = faults, CollectorRegistry()
    async with engine_app(TritonHttpEngine(url), registry, **limits) as app:
        answer = await ask(app)
    assert answer.status == 200
    assert " one two three four".startswith(answer.text)
    assert answer.text.startswith(" one")
    assert answer.events[-1]["error"]["code"] == code
    assert len(fake.requests) == 1, "never again after the first token"
    assert outcomes(registry) == {outcome: 1}


async def test_a_hung_generation_is_cancelled(fake: FakeTriton, url: str) -> None:
    fake.faults = {"hang_after_tokens": 1}
    async with engine_app(TritonHttpEngine(url), inter_token_seconds=0.05) as app:
        await ask(app)
        await eventually(lambda: fake.cancelled == 1)


async def test_a_client_that_leaves_cancels_its_generation(fake: FakeTriton, url: str) -> None:
    fake.faults, registry = {"hang_after_tokens": 1}, CollectorRegistry()
    async with engine_app(TritonHttpEngine(url), registry) as app:
        async with AppDownstream(app).request("POST", CHAT, body=msgspec.json.encode(asked(PROMPT))):
            assert measured(registry, "llmops_engine_in_flight") == 1
        await eventually(lambda: fake.cancelled == 1)
        await eventually(lambda: outcomes(registry) == {"cancelled": 1})
    assert measured(registry, "llmops_engine_in_flight") == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param"),
    [
        ("POST", CHAT, b"{", 400, None),
        ("POST", CHAT, asked("x", n=5), 400, "n"),
        ("POST", CHAT, asked("x", logit_bias={"1": 1}), 400, "logit_bias"),
        ("GET", CHAT, b"", 405, None),
        ("POST", "/probe", b"", 405, None),
        ("POST", "/v1/embeddings", b"{", 400, None),
        ("POST", "/v1/embeddings", {"model": "chat", "input": "x"}, 400, "model"),
        ("POST", "/v1/completions", b"", 404, None),
    ],
    ids=[
        "no JSON",
        "several answers",
        "not by this engine",
        "wrong method",
        "probe posted",
        "no JSON to embed",
        "no embeddings by this engine",
        "unknown path",
    ],
)
async def test_a_request_that_cannot_be_served(
    fake: FakeTriton, url: str, method: str, path: str, body: object, status: int, param: str | None
) -> None:
    async with engine_app(TritonHttpEngine(url)) as app:
        answer = await call(app, method, path, body=body)
    assert (answer.status, answer.error["param"]) == (status, param)
    assert fake.requests == []


async def test_without_a_contract_nothing_is_served() -> None:
    app = EngineApp(CollectorRegistry())
    assert (await ask(app)).error["code"] == "not_ready"
    assert (await call(app, path="/probe")).error["code"] == "not_ready"
    assert (await call(app, "POST", "/drain")).status == 200


async def test_a_bug_ends_one_request_and_tells_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_engine: object) -> Any:
        return None

    app = EngineApp(CollectorRegistry(), make=fail)
    app.configure(contract(TritonHttpEngine(url)))
    answer = await ask(app)
    assert (answer.status, answer.error["code"]) == (500, "internal_error")
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["a request failed"]


async def test_a_refused_connection_is_tried_once_more(fake: FakeTriton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmops_sidecars.engine.route.RETRY_SECONDS", 1.0)
    async with serving(fake) as url:
        port = int(url.rpartition(":")[2])
    async with engine_app(TritonHttpEngine(url)) as app:
        task = asyncio.create_task(ask(app))
        async with serving(fake, port=port):
            assert (await task).text == " one two three four"
        assert len(fake.requests) == 1
        assert (await ask(app)).error["code"] == "engine_unavailable"


async def test_what_is_measured(fake: FakeTriton, url: str) -> None:
    fake.faults, registry = {"iteration_ms": 20}, CollectorRegistry()
    async with engine_app(TritonHttpEngine(url), registry) as app:
        await ask(app)
    assert outcomes(registry) == {"completed": 1}
    assert measured(registry, "llmops_engine_first_token_seconds_count") == 1
    assert measured(registry, "llmops_engine_inter_token_seconds_count") == 4
    assert 0.06 < (measured(registry, "llmops_engine_inter_token_seconds_sum") or 0) < 5


async def test_its_metrics_can_be_scraped(url: str) -> None:
    async with engine_app(TritonHttpEngine(url)) as app:
        await ask(app)
        answer = await call(app, path="/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'llmops_engine_requests_total{outcome="completed"} 1.0' in answer.body.splitlines()


async def test_a_probe_asks_for_one_token(fake: FakeTriton, url: str) -> None:
    async with engine_app(TritonHttpEngine(url)) as app:
        assert (await call(app, path="/probe")).status == 200
        (request,) = fake.requests
        assert request["sampling_param_max_tokens"] == 1
        fake.faults = {"error_after_tokens": 0}
        answer = await call(app, path="/probe")
    assert (answer.status, answer.error["code"]) == (503, "engine_unavailable")


async def test_a_token_just_produced_answers_a_probe(fake: FakeTriton, url: str) -> None:
    async with engine_app(TritonHttpEngine(url)) as app:
        await ask(app)
        fake.faults = {"hang_after_tokens": 0}
        assert (await call(app, path="/probe")).status == 200
    assert len(fake.requests) == 1


async def test_a_probe_of_an_engine_that_is_not_there_fails(fake: FakeTriton) -> None:
    async with serving(fake) as url:
        pass
    async with engine_app(TritonHttpEngine(url)) as app:
        assert (await call(app, path="/probe")).error["code"] == "engine_unavailable"


async def test_a_probe_of_a_hung_engine_ends(fake: FakeTriton, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmops_sidecars.engine.app.PROBE_SECONDS", 0.1)
    fake.faults = {"hang_after_tokens": 0}
    async with engine_app(TritonHttpEngine(url)) as app:
        assert (await call(app, path="/probe")).error["code"] == "engine_timeout"
    await eventually(lambda: fake.cancelled == 1)


async def test_while_draining_there_are_no_probes(fake: FakeTriton, url: str) -> None:
    async with engine_app(TritonHttpEngine(url)) as app:
        assert (await call(app, "POST", "/drain")).status == 200
        assert (await call(app, path="/probe")).error["code"] == "draining"
        assert (await ask(app)).text == " one two three four"
    assert len(fake.requests) == 1
