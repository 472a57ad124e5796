"""Asking the engine: its event stream becomes a flight's chunks or is passed on, all that goes wrong an ApiError."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmops_sidecars.cache.flight import Flight
from llmops_sidecars.openai.answers import decode_chunk
from llmops_sidecars.openai.errors import ApiError, decode_error, engine_failed, engine_unavailable
from llmops_sidecars.openai.events import DONE_DATA, STREAM_HEADERS, EventSplitter, EventTooLargeError
from llmops_sidecars.proxy.asgi import Headers, StreamSender
from llmops_sidecars.proxy.downstream import (
    Downstream,
    DownstreamCutError,
    DownstreamResponse,
    DownstreamUnavailableError,
    read_response,
)

CHAT_PATH = "/v1/chat/completions"
OK = 200
MAX_ERROR_BYTES = 64 * 1024


async def generate(engine: Downstream, headers: Headers, body: bytes, flight: Flight) -> None:
    """Send the request and record its answer; raises ApiError. Cancelling this cancels the engine's work."""
    async with _opened(engine, headers, body) as response:
        flight.engine = response.headers.get("x-llmops-engine", "")
        await _record(response, flight)


async def pass_through(
    engine: Downstream, headers: Headers, body: bytes, sender: StreamSender, answer_headers: Headers
) -> None:
    """Send the request, and its answer as it is: the engine writes what the guard reads. Raises ApiError."""
    async with _opened(engine, headers, body) as response:
        answering = response.headers.get("x-llmops-engine", "")
        named = ((b"x-llmops-engine", answering.encode()),) if answering else ()
        await sender.start(OK, (*STREAM_HEADERS, *answer_headers, *named))
        async for data in response.stream():
            await sender.write(data)
    await sender.end()


@asynccontextmanager
async def _opened(engine: Downstream, headers: Headers, body: bytes) -> AsyncIterator[DownstreamResponse]:
    try:
        async with engine.request("POST", CHAT_PATH, headers, body) as response:
            if response.status != OK:
                raise await _refusal(response)
            yield response
    except DownstreamUnavailableError as error:
        raise engine_unavailable() from error
    except (DownstreamCutError, EventTooLargeError) as error:
        raise engine_failed() from error


async def _record(response: DownstreamResponse, flight: Flight) -> None:
    splitter, done = EventSplitter(), False
    async for data in response.stream():
        for event in splitter.feed(data):
            done = done or event == DONE_DATA
            if not done:
                await flight.add(decode_chunk(event))
    if not done:
        raise engine_failed("The model's answer ended before it was complete.")


async def _refusal(response: DownstreamResponse) -> ApiError:
    retry_after = response.headers.get("retry-after", "")
    seconds = int(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
    return decode_error(response.status, await read_response(response, MAX_ERROR_BYTES), retry_after=seconds)
