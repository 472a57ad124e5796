"""Asking the engine, in the same task: its events become a flight's chunks, or go on as they are.

All that goes wrong while a flight is recorded is an ApiError.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NoReturn

from llmops_sidecars.cache.flight import Flight
from llmops_sidecars.openai.answers import decode_chunk
from llmops_sidecars.openai.errors import ApiError, decode_error, engine_failed, engine_unavailable
from llmops_sidecars.openai.events import DONE_DATA, EventSplitter, EventTooLargeError
from llmops_sidecars.proxy.asgi import Headers, Message, Receive, Receiver, Send
from llmops_sidecars.proxy.inprocess import AppDownstream

CHAT_PATH = "/v1/chat/completions"
OK = 200
MAX_ERROR_BYTES = 64 * 1024

_log = logging.getLogger(__name__)


async def generate(engine: AppDownstream, headers: Headers, body: bytes, flight: Flight) -> None:
    """Send the request and record its answer; raises ApiError. Cancelling this cancels the engine's work."""
    recording = _Recording(flight)
    try:
        await engine.run(CHAT_PATH, headers, body, Receiver(_never), recording.send)
    except Exception:  # noqa: BLE001 - as behind a server: the answer ends, and the log says why
        _log.exception("the engine's application failed")
    recording.require_whole()


async def pass_through(
    engine: AppDownstream, headers: Headers, body: bytes, receive: Receive, send: Send, answer_headers: Headers
) -> None:
    """Send the request, and its answer as it is, whatever it is: the engine writes what the guard reads."""

    async def relay(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *answer_headers]}
        await send(message)

    await engine.run(CHAT_PATH, headers, body, receive, relay)


async def _never() -> NoReturn:
    """A flight has no client of its own that could leave: it is cancelled when all of its listeners have."""
    await asyncio.Event().wait()
    raise AssertionError


class _Recording:
    """What an answer's messages make of a flight; the first thing that goes wrong is kept."""

    def __init__(self, flight: Flight) -> None:
        self._flight, self._splitter = flight, EventSplitter()
        self._status, self._headers = 0, dict[bytes, bytes]()
        self._refusal = bytearray()
        self._error: ApiError | None = None
        self._done = False

    async def send(self, message: Message) -> None:
        """Take a message; never raises, since whoever sends it has done nothing wrong."""
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], dict(message["headers"])
            self._flight.engine = self._headers.get(b"x-llmops-engine", b"").decode()
        elif self._status == OK:
            await self._record(message.get("body", b""))
        elif len(self._refusal) <= MAX_ERROR_BYTES:
            self._refusal += message.get("body", b"")

    def require_whole(self) -> None:
        """Raises ApiError for what was no whole answer."""
        if not self._status:
            raise engine_unavailable()
        if self._status != OK:
            raise self._refused()
        if self._error is not None:
            raise self._error
        if not self._done:
            raise engine_failed("The model's answer ended before it was complete.")

    async def _record(self, data: bytes) -> None:
        if self._error is not None:
            return
        try:
            for event in self._splitter.feed(data):
                self._done = self._done or event == DONE_DATA
                if not self._done:
                    await self._flight.add(decode_chunk(event))
        except EventTooLargeError:
            self._error = engine_failed()
        except ApiError as error:
            self._error = error

    def _refused(self) -> ApiError:
        after = self._headers.get(b"retry-after", b"")
        seconds = int(after) if after.isdigit() else None
        return decode_error(self._status, bytes(self._refusal[:MAX_ERROR_BYTES]), retry_after=seconds)
