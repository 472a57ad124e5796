"""Both drivers, each against a real Triton."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from llmops_sidecars.contract import Engine, TritonGrpcEngine, TritonHttpEngine
from llmops_sidecars.engine.driver import Driver, EngineUnavailableError, Piece
from llmops_sidecars.engine.make import make_driver
from llmops_sidecars.openai.errors import ApiError
from tests.sidecars_.engine.kit import CHAT, asked, engine_app, generate, pieces_of
from tests.support.asgi import call, eventually
from tests.support.triton import TritonServer, running_triton

pytestmark = pytest.mark.triton

WORDS = " one two, grüße 🎈 — five\nsix"
ECHO = f"Repeat after me:{WORDS}"
LONG = "Repeat after me: " + "word " * 2000

Way = Callable[[TritonServer], Engine]


@pytest.fixture(params=["grpc", "http"])
def way(request: pytest.FixtureRequest) -> Way:
    """How to get to a server."""
    if request.param == "grpc":
        return lambda server: TritonGrpcEngine(server.grpc)
    return lambda server: TritonHttpEngine(server.http)


@contextlib.asynccontextmanager
async def driving(engine: Engine) -> AsyncIterator[Driver]:
    driver = make_driver(engine)
    try:
        yield driver
    finally:
        await driver.close()


@pytest.fixture
async def driver(way: Way, triton: TritonServer) -> AsyncIterator[Driver]:
    async with driving(way(triton)) as driver:
        yield driver


@pytest.fixture(scope="module")
def slow() -> Iterator[TritonServer]:
    """One slot, 100 tokens a second."""
    with running_triton({"max_batch_size": 1, "cpu_model": {"iteration_ms": 10}}) as server:
        yield server


@pytest.fixture(scope="module")
def hanging() -> Iterator[TritonServer]:
    """One slot, and every answer stands still after two tokens."""
    faults = {"hang_after_tokens": 2}
    with running_triton({"max_batch_size": 1, "cpu_model": {"iteration_ms": 2, "faults": faults}}) as server:
        yield server


@pytest.fixture(scope="module")
def failing() -> Iterator[TritonServer]:
    """Every answer fails after two tokens."""
    with running_triton({"cpu_model": {"iteration_ms": 2, "faults": {"error_after_tokens": 2}}}) as server:
        yield server


async def test_the_streamed_text_is_the_whole_text_token_by_token(driver: Driver) -> None:
    pieces = await pieces_of(driver, generate(ECHO))
    assert "".join(piece.text for piece in pieces) == WORDS
    assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["stop"]
    assert sum(piece.tokens for piece in pieces) == len(pieces) - 1 == 8


async def test_all_sampling_parameters_are_taken(driver: Driver) -> None:
    fields: dict[str, Any] = {
        "temperature": 0.7,
        "top_p": 0.9,
        "frequency_penalty": 0.1,
        "presence_penalty": -0.1,
        "seed": -3,
        "stop": ("nowhere to be found", "nor this"),
        "max_tokens": 12,
    }
    runs = [await pieces_of(driver, generate("Our support", **fields)) for _ in range(2)]
    assert runs[0] == runs[1], "the same seed"
    assert runs[0][-1].finish_reason in {"stop", "length"}


async def test_an_answer_ends_at_its_limit(driver: Driver) -> None:
    pieces = await pieces_of(driver, generate(ECHO, max_tokens=3))
    assert ("".join(piece.text for piece in pieces), pieces[-1].finish_reason) == (" one two,", "length")


async def test_a_stop_word_that_leaked_is_named(driver: Driver) -> None:
    pieces = await pieces_of(driver, generate("Repeat after me: a b c d e", stop="c d"))
    assert "".join(piece.text for piece in pieces) == " a b c", "Triton has sent the beginning of the stop word"
    assert pieces[-1] == Piece("", 0, "stop", "c d")


async def test_the_application_takes_it_away(way: Way, triton: TritonServer) -> None:
    async with engine_app(way(triton)) as app:
        answer = await call(app, "POST", CHAT, body=asked("Repeat after me: a b c d e", stop="c d"))
    assert answer.text == " a b "


async def test_many_answers_at_once_do_not_mix(driver: Driver) -> None:
    prompts = [f"Repeat after me: {number} times {number}" for number in range(24)]
    answers = await asyncio.gather(*(pieces_of(driver, generate(prompt)) for prompt in prompts))
    assert ["".join(piece.text for piece in answer) for answer in answers] == [
        prompt.removeprefix("Repeat after me:") for prompt in prompts
    ]


async def test_a_probe(driver: Driver) -> None:
    await driver.probe()


async def test_a_prompt_that_is_too_long_is_the_clients_fault(driver: Driver) -> None:
    with pytest.raises(ApiError) as caught:
        await pieces_of(driver, generate("long " * 5000))
    assert (caught.value.status, caught.value.code) == (400, "context_length_exceeded")


@pytest.mark.parametrize("kind", ["grpc", "http"])
async def test_an_unknown_model_is_ours(triton: TritonServer, kind: str) -> None:
    engine = TritonGrpcEngine(triton.grpc, "other") if kind == "grpc" else TritonHttpEngine(triton.http, "other")
    async with engine_app(engine) as app:
        answer = await call(app, "POST", CHAT, body=asked(ECHO))
    assert (answer.status, answer.error["code"]) == (503, "engine_unavailable")


async def test_leaving_frees_the_slot(way: Way, slow: TritonServer) -> None:
    async with driving(way(slow)) as driver:
        async with contextlib.aclosing(driver.generate(generate(LONG))) as pieces:
            await anext(pieces)
        began = time.monotonic()
        await pieces_of(driver, generate("Repeat after me: a"))
        assert time.monotonic() - began < 2, "the cancelled answer alone would take 20 s"


async def test_a_cancelled_task_frees_the_slot_even_before_the_first_token(way: Way, slow: TritonServer) -> None:
    async with driving(way(slow)) as driver:
        running = asyncio.create_task(pieces_of(driver, generate(LONG)))
        waiting = asyncio.create_task(pieces_of(driver, generate(LONG)))
        await asyncio.wait({running, waiting}, timeout=0.3)
        for task in (waiting, running):
            task.cancel()
        await asyncio.wait({running, waiting})
        async with asyncio.timeout(2):
            await pieces_of(driver, generate("Repeat after me: a"))


async def test_a_hang_is_ended_and_its_slot_is_free(way: Way, hanging: TritonServer) -> None:
    async with engine_app(way(hanging), inter_token_seconds=0.2) as app:
        for _ in range(2):
            answer = await call(app, "POST", CHAT, body=asked(ECHO))
            assert (answer.status, answer.text) == (200, " one two")
            assert answer.events[-1]["error"]["code"] == "engine_timeout"
    async with driving(way(hanging)) as driver:
        await driver.probe()


async def test_an_error_in_the_middle_ends_the_answer(way: Way, failing: TritonServer) -> None:
    async with engine_app(way(failing)) as app:
        answer = await call(app, "POST", CHAT, body=asked(ECHO))
        healthy = await call(app, "POST", CHAT, body=asked(ECHO, max_tokens=1))
    assert (answer.status, answer.text) == (200, " one two")
    assert answer.events[-1]["error"]["code"] == "engine_failed"
    assert b"injected" not in answer.body
    assert healthy.text == " one"


async def test_a_crash_of_the_models_process(way: Way) -> None:
    """Triton 2.51 goes on as if nothing had happened: open streams hang, new requests fail after a second."""
    with running_triton({"cpu_model": {"iteration_ms": 2, "faults": {"crash_after_tokens": 2}}}) as server:
        async with engine_app(way(server), inter_token_seconds=1.0, first_token_seconds=5.0) as app:
            answer = await call(app, "POST", CHAT, body=asked(ECHO))
            assert answer.events[-1]["error"]["code"] in {"engine_timeout", "engine_failed"}
            again = await call(app, "POST", CHAT, body=asked(ECHO))
            assert (again.status, again.error["code"]) == (503, "engine_unavailable")


async def test_a_server_that_is_killed_ends_the_answer(way: Way) -> None:
    with running_triton({"cpu_model": {"iteration_ms": 10}}) as server:
        async with engine_app(way(server)) as app:
            asking = asyncio.create_task(call(app, "POST", CHAT, body=asked(LONG)))
            await asyncio.wait({asking}, timeout=0.5)
            os.killpg(server.process.pid, signal.SIGKILL)
            answer = await asking
    assert answer.status == 200
    assert answer.text.startswith(" word")
    assert answer.events[-1]["error"]["code"] == "engine_failed"


async def test_a_server_that_is_not_there_and_then_back(way: Way) -> None:
    with running_triton() as server:
        engine = way(server)
        async with driving(engine) as driver:
            await driver.probe()
            await _stop(server)
            with pytest.raises((EngineUnavailableError, ApiError)):
                await driver.probe()
            with pytest.raises(EngineUnavailableError):
                await driver.probe()
            with server:
                await eventually(lambda: _probes(driver), seconds=3)


async def test_an_idle_engine_application_does_not_hold_up_tritons_end(way: Way) -> None:
    with running_triton() as server:
        async with engine_app(way(server)) as app:
            assert (await call(app, "POST", CHAT, body=asked(ECHO))).text == WORDS
            await call(app, "POST", "/drain")
            assert await asyncio.to_thread(server.terminate, 20) == 0, "1 after an exit timeout"


async def _stop(server: TritonServer) -> None:
    await asyncio.to_thread(server.terminate, 20)


async def _probes(driver: Driver) -> bool:
    try:
        await driver.probe()
    except (EngineUnavailableError, ApiError):
        return False
    return True
