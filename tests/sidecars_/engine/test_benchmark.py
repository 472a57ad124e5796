"""The engine that is none."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from llmops_sidecars.contract import BenchmarkEngine
from llmops_sidecars.engine.benchmark import BenchmarkDriver
from tests.sidecars_.engine.kit import CHAT, asked, engine_app, generate, pieces_of
from tests.support.asgi import call


async def test_it_says_what_it_is_always_the_same_and_in_a_header() -> None:
    async with engine_app(BenchmarkEngine(tokens=25)) as app:
        one = await call(app, "POST", CHAT, body=asked("What are you?"))
        other = await call(app, "POST", CHAT, body=asked("Something else", temperature=1.0, seed=3))
    assert one.text.startswith("This is the benchmark engine, not a model.")
    assert one.text == other.text
    assert one.headers["x-llmops-engine"] == "benchmark"
    assert one.events[-2]["usage"]["completion_tokens"] == 25


@pytest.mark.parametrize(
    ("fields", "tokens", "reason"),
    [({}, 20, "stop"), ({"max_tokens": 5}, 5, "length"), ({"max_tokens": 50}, 20, "stop"), ({"n": 2}, 40, "stop")],
    ids=["as configured", "fewer", "more", "two choices"],
)
async def test_its_answers_have_the_length_that_was_configured(
    fields: dict[str, Any], tokens: int, reason: str
) -> None:
    pieces = await pieces_of(BenchmarkDriver(BenchmarkEngine(tokens=20)), generate("Hi", **fields))
    assert sum(piece.tokens for piece in pieces) == tokens
    assert pieces[-1].finish_reason == reason


async def test_its_pace_is_kept() -> None:
    driver = BenchmarkDriver(BenchmarkEngine(tokens=11, first_token_seconds=0.1, inter_token_seconds=0.02))
    began, times = time.monotonic(), list[float]()
    async for _ in driver.generate(generate("Hi")):
        times.append(time.monotonic() - began)
        await asyncio.sleep(0.005)
    assert times[0] >= 0.1
    assert 0.3 <= times[10] < 1.0, "what its reader takes does not add up"


async def test_a_request_for_more_than_text_is_refused() -> None:
    async with engine_app(BenchmarkEngine()) as app:
        biased = await call(app, "POST", CHAT, body=asked("Hi", logit_bias={"1": 1}))
        embedded = await call(app, "POST", "/v1/embeddings", body={"model": "chat", "input": "x"})
        probe = await call(app, path="/probe")
    assert (biased.status, biased.error["param"]) == (400, "logit_bias")
    assert (embedded.status, embedded.error["param"]) == (400, "model")
    assert probe.status == 200
