"""What becomes of requests whose engine is not there, hangs, or breaks off: another attempt, a fallback, a quick no."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from llmops_sidecars.contract import Contract, OpenAIEngine
from llmops_sidecars.engine.app import EngineApp
from llmops_sidecars.engine.budget import RESERVE
from llmops_sidecars.engine.health import FAILURES
from tests.sidecars_.engine.fake_provider import ANSWER, FakeProvider, delta
from tests.sidecars_.engine.kit import CHAT, asked, contract
from tests.support.asgi import Answer, call, eventually, serving

BUSY = (503, (), b"busy")
NOWHERE = "http://127.0.0.1:1/v1"
Serve = Callable[..., EngineApp]


@pytest.fixture
def primary() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def fallback() -> FakeProvider:
    found = FakeProvider()
    found.events = [delta(content="instead"), delta("stop")]
    return found


@pytest.fixture
async def urls(primary: FakeProvider, fallback: FakeProvider) -> AsyncIterator[tuple[str, str]]:
    async with serving(primary) as one, serving(fallback) as other:
        yield f"{one}/v1", f"{other}/v1"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmops_sidecars.engine.route.RETRY_SECONDS", 0.002)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def serve(registry: CollectorRegistry) -> AsyncIterator[Serve]:
    """Makes the application on a primary engine of some addresses, and perhaps a fallback."""
    app = EngineApp(registry)

    def configure(url: str, *further: str, fallback: str | None = None, **limits: Any) -> EngineApp:
        other = OpenAIEngine(fallback, "other") if fallback else None
        found: Contract = contract(OpenAIEngine(url, "gpt-x", None, further), **limits)
        app.configure(msgspec.structs.replace(found, fallback=other))
        return app

    yield configure
    await app.close()


async def ask(app: EngineApp, prompt: str = "Hi") -> Answer:
    return await call(app, "POST", CHAT, body=asked(prompt))


def count(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(f"llmops_engine_{name}")


async def test_an_engine_that_comes_back_is_asked_once_more(
    primary: FakeProvider,
    urls: tuple[str, str],
    serve: Serve,
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llmops_sidecars.engine.route.RETRY_SECONDS", 1.0)
    app = serve(urls[0])
    primary.refusal = BUSY
    asking = asyncio.create_task(ask(app))
    await eventually(lambda: len(primary.requests) == 1)
    primary.refusal = None
    answer = await asking
    assert (answer.text, answer.headers["x-llmops-engine"]) == ("Hello", "primary")
    assert len(primary.requests) == 2
    assert count(registry, "retries_total") == 1


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        ({"refusal": BUSY}, 2),
        ({"cut": True}, 2),
        ({"events": [], "end": b"data: {"}, 2),
        ({"events": [], "end": b"data: [DONE]\n\n"}, 2),
        ({"refusal": (500, (), b"")}, 1),
        ({"refusal": (400, (), b"")}, 1),
        ({"refusal": (429, (), b"")}, 1),
        ({"events": [{"error": {"message": "m", "type": "t", "param": None, "code": None}}]}, 1),
        ({"events": [delta(content="Hel"), {"error": {"message": "m"}}]}, 1),
        ({"events": [delta(content="Hel")], "end": b""}, 1),
    ],
    ids=[
        "503",
        "cut before the first event",
        "cut in the first event",
        "nothing",
        "500",
        "400",
        "429",
        "error first",
        "error later",
        "cut later",
    ],
)
async def test_only_what_repeats_nothing_is_repeated(
    primary: FakeProvider, urls: tuple[str, str], serve: Serve, fault: dict[str, Any], attempts: int
) -> None:
    for name, value in fault.items():
        setattr(primary, name, value)
    await ask(serve(urls[0]))
    assert len(primary.requests) == attempts


async def test_a_connection_that_ends_without_a_status_is_tried_again(serve: Serve) -> None:
    connections = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        answer = await ask(serve(f"http://127.0.0.1:{port}/v1"))
    assert (answer.status, answer.error["code"], connections) == (503, "engine_unavailable", 2)


async def test_a_large_request_is_not_repeated(primary: FakeProvider, urls: tuple[str, str], serve: Serve) -> None:
    primary.refusal, app = BUSY, serve(urls[0])
    await ask(app, "x" * 60_000)
    assert len(primary.requests) == 2
    await ask(app, "x" * 66_000)
    assert len(primary.requests) == 3


@pytest.mark.parametrize("addresses", [1, 4], ids=["one address", "four addresses, two of which cannot be ejected"])
async def test_an_engine_that_always_fails_gets_hardly_more_than_was_sent(
    primary: FakeProvider, urls: tuple[str, str], serve: Serve, addresses: int
) -> None:
    primary.refusal, requests = BUSY, 0
    app = serve(*[urls[0]] * addresses)
    for burst in [1] * 20 + [40] * 10:
        answers = await asyncio.gather(*(ask(app) for _ in range(burst)))
        assert {answer.error["code"] for answer in answers} == {"engine_unavailable"}
        requests += burst
    assert len(primary.requests) <= 1.2 * requests + RESERVE


async def test_a_circuit_that_is_open_answers_fast_and_closes_again(
    primary: FakeProvider, urls: tuple[str, str], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmops_sidecars.engine.health.FIRST_SECONDS", 0.3)
    primary.refusal, app = BUSY, serve(urls[0])
    while len(primary.requests) < FAILURES:
        await ask(app)
    attempts, began = len(primary.requests), time.monotonic()
    answer = await ask(app)
    assert (answer.status, answer.error["code"]) == (503, "engine_unavailable")
    assert "retry-after" in answer.headers
    assert time.monotonic() - began < 0.2
    assert len(primary.requests) == attempts
    primary.refusal = None
    await eventually(lambda: _answers(app))


async def test_a_probe_closes_an_open_circuit(primary: FakeProvider, urls: tuple[str, str], serve: Serve) -> None:
    primary.refusal, app = BUSY, serve(urls[0])
    while len(primary.requests) < FAILURES:
        await ask(app)
    assert (await call(app, path="/probe")).status == 503
    primary.refusal = None
    assert (await call(app, path="/probe")).status == 200
    assert (await ask(app)).text == "Hello"


@pytest.mark.parametrize(
    ("fault", "tried"),
    [
        ({"refusal": BUSY}, 2),
        ({"cut": True}, 2),
        ({"refusal": (500, (), b"")}, 1),
        ({"refusal": (401, (), b"")}, 1),
        ({"refusal": (429, (), b"")}, 1),
        ({"events": [{"error": {"message": "m", "type": "t", "param": None, "code": None}}]}, 1),
    ],
    ids=["503", "cut", "500", "bad key", "too many", "error first"],
)
async def test_the_fallback_answers_what_the_primary_has_not_begun(
    primary: FakeProvider,
    fallback: FakeProvider,
    urls: tuple[str, str],
    serve: Serve,
    registry: CollectorRegistry,
    fault: dict[str, Any],
    tried: int,
) -> None:
    for name, value in fault.items():
        setattr(primary, name, value)
    answer = await ask(serve(urls[0], fallback=urls[1]))
    assert (answer.text, answer.headers["x-llmops-engine"]) == ("instead", "fallback")
    assert fallback.requests[0][2]["model"] == "other"
    assert (len(primary.requests), len(fallback.requests)) == (tried, 1)
    assert count(registry, "fallbacks_total") == 1
    assert count(registry, "in_flight") == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"refusal": (400, (), b"")},
        {"events": [delta(content="Hel"), {"error": {"message": "m"}}]},
        {"events": [delta(content="Hel")], "end": b""},
    ],
    ids=["the client's mistake", "error after the first piece", "cut after the first piece"],
)
async def test_the_fallback_is_not_for_mistakes_nor_for_answers_that_have_begun(
    primary: FakeProvider, fallback: FakeProvider, urls: tuple[str, str], serve: Serve, fault: dict[str, Any]
) -> None:
    for name, value in fault.items():
        setattr(primary, name, value)
    await ask(serve(urls[0], fallback=urls[1]))
    assert fallback.requests == []


async def test_when_both_fail_the_client_hears_it(
    primary: FakeProvider, fallback: FakeProvider, urls: tuple[str, str], serve: Serve
) -> None:
    primary.refusal, fallback.refusal = BUSY, (500, (), b"")
    answer = await ask(serve(urls[0], fallback=urls[1]))
    assert (answer.status, answer.error["code"]) == (503, "engine_unavailable")


async def test_a_hung_primary_is_passed_by_once_it_is_known(
    primary: FakeProvider, urls: tuple[str, str], serve: Serve
) -> None:
    primary.events, primary.hang = [], True
    app = serve(urls[0], fallback=urls[1], first_token_seconds=0.2)
    answers = await asyncio.gather(*(ask(app) for _ in range(FAILURES)))
    assert {answer.error["code"] for answer in answers} == {"engine_timeout"}
    began = time.monotonic()
    assert (await ask(app)).text == "instead"
    assert time.monotonic() - began < 0.2
    assert len(primary.requests) == FAILURES


async def test_one_request_tries_a_hung_primary_while_the_others_go_on(
    primary: FakeProvider, urls: tuple[str, str], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmops_sidecars.engine.health.FIRST_SECONDS", 0.05)
    primary.events, primary.hang = [], True
    app = serve(urls[0], fallback=urls[1], first_token_seconds=0.2)
    await asyncio.gather(*(ask(app) for _ in range(FAILURES)))
    await asyncio.sleep(0.06)
    answers = await asyncio.gather(*(ask(app) for _ in range(10)))
    assert sorted(answer.text for answer in answers if answer.status == 200) == ["instead"] * 9
    assert len(primary.requests) == FAILURES + 1


async def test_of_several_addresses_the_good_one_answers_all(
    primary: FakeProvider, urls: tuple[str, str], serve: Serve, registry: CollectorRegistry
) -> None:
    app = serve(NOWHERE, urls[0])
    for _ in range(2 * FAILURES + 2):
        answer = await ask(app)
        assert (answer.text, answer.headers["x-llmops-engine"]) == ("Hello", "primary")
    assert count(registry, "ejected_endpoints") == 1
    assert (count(registry, "retries_total") or 0) <= FAILURES
    assert len(primary.requests) == 2 * FAILURES + 2


async def test_the_limit_on_the_first_token_is_for_all_attempts_together(
    primary: FakeProvider, urls: tuple[str, str], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmops_sidecars.engine.route.RETRY_SECONDS", 0.4)
    primary.cut = True
    answer = await ask(serve(urls[0], first_token_seconds=0.1))
    assert answer.error["code"] == "engine_timeout"


async def test_a_fallback_makes_ready_only_what_has_been_ready_by_itself(
    primary: FakeProvider, fallback: FakeProvider, urls: tuple[str, str], serve: Serve
) -> None:
    primary.refusal, app = BUSY, serve(urls[0], fallback=urls[1])
    assert (await call(app, path="/probe")).status == 503
    primary.refusal = None
    assert (await call(app, path="/probe")).status == 200
    primary.refusal = BUSY
    assert (await call(app, path="/probe")).status == 200
    fallback.refusal = BUSY
    assert (await call(app, path="/probe")).error["code"] == "engine_unavailable"


async def test_a_client_that_leaves_ends_its_attempts(
    primary: FakeProvider, fallback: FakeProvider, urls: tuple[str, str], serve: Serve, registry: CollectorRegistry
) -> None:
    primary.events, primary.hang = [], True
    app = serve(urls[0], fallback=urls[1])
    asking = asyncio.create_task(ask(app))
    await eventually(lambda: len(primary.requests) == 1)
    asking.cancel()
    await eventually(lambda: primary.left == 1)
    assert fallback.requests == []
    assert count(registry, "in_flight") == 0


async def test_no_answer_is_a_mixture(
    primary: FakeProvider, urls: tuple[str, str], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmops_sidecars.engine.health.FAILURES", 1000)
    app = serve(urls[0], fallback=urls[1])
    primary.events = [*ANSWER]
    texts = set()
    for number in range(30):
        primary.cut = number % 2 == 0
        texts |= {answer.text for answer in await asyncio.gather(*(ask(app) for _ in range(5)))}
    assert texts == {"Hello", "instead"}


async def _answers(app: EngineApp) -> bool:
    return (await ask(app)).status == 200
