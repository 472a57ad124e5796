"""The fake Triton answers as the real one does, on every case that other tests use it for."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.sidecars_.engine.fake_triton import ECHO, MODEL, PATH, FakeTriton
from tests.support.asgi import events_of, serving
from tests.support.triton import TritonServer

STREAM = {"streaming": True, "return_finish_reason": True, "return_stop_reason": True, "sampling_param_max_tokens": 50}
WORDS = f"{ECHO} one two, grüße 🎈 five"


@pytest.mark.triton
@pytest.mark.parametrize(
    ("path", "request_fields"),
    [
        (PATH, {"text_input": WORDS, **STREAM}),
        (PATH, {"text_input": WORDS, **STREAM, "id": "abc"}),
        (PATH, {"text_input": WORDS, "streaming": True}),
        (PATH, {"text_input": WORDS, **STREAM, "sampling_param_max_tokens": 3}),
        (PATH, {"text_input": WORDS, **STREAM, "sampling_param_max_tokens": 1}),
        (PATH, {"text_input": WORDS, **STREAM, "fault_error_after_tokens": 0}),
        (PATH, {"text_input": WORDS, **STREAM, "fault_error_after_tokens": 2}),
        ("/v2/models/other/generate_stream", {"text_input": WORDS, **STREAM}),
    ],
    ids=[
        "answer",
        "with id",
        "without reasons",
        "cut to length",
        "one token",
        "error at once",
        "error later",
        "no model",
    ],
)
async def test_the_same_request_has_the_same_answer(
    triton: TritonServer, path: str, request_fields: dict[str, Any]
) -> None:
    async with serving(FakeTriton()) as fake:
        assert await answer(fake + path, request_fields) == await answer(triton.http + path, request_fields)


@pytest.mark.triton
@pytest.mark.parametrize("tokens", [0, 2])
async def test_a_hang_looks_the_same(triton: TritonServer, tokens: int) -> None:
    fields = {"text_input": WORDS, **STREAM, "fault_hang_after_tokens": tokens}
    async with serving(FakeTriton()) as fake:
        assert await until_silence(fake + PATH, fields) == await until_silence(triton.http + PATH, fields)


@pytest.mark.triton
@pytest.mark.parametrize("path", [MODEL, "/v2/models/other"])
async def test_it_tells_the_same_of_its_models(triton: TritonServer, path: str) -> None:
    async with serving(FakeTriton()) as fake:
        assert await told(fake + path) == await told(triton.http + path)


async def told(url: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.json(content_type=None)


async def answer(url: str, fields: dict[str, Any]) -> tuple[int, str, Any]:
    async with aiohttp.ClientSession() as session, session.post(url, json=fields) as response:
        body = await response.read()
        kind = response.headers["content-type"]
        return response.status, kind, events_of(body) if kind.startswith("text/event-stream") else body


async def until_silence(url: str, fields: dict[str, Any]) -> list[Any]:
    """The events before the stream stands still, without an end, for a while."""
    received: list[bytes] = []
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_receive(url, fields, received), 0.5)
    return events_of(b"".join(received))


async def _receive(url: str, fields: dict[str, Any], received: list[bytes]) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, json=fields) as response:
        async for data in response.content.iter_any():
            received.append(data)  # noqa: PERF401 - what has come counts, not only all of it
