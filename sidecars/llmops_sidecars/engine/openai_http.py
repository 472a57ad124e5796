"""An OpenAI-compatible provider over HTTP: the request is passed on nearly as it came, its model and limit replaced."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import msgspec

from llmops_sidecars.contract import OpenAIEngine
from llmops_sidecars.engine.driver import EngineUnreachableError, GenerateRequest, Piece, settle
from llmops_sidecars.openai.answers import Chunk, decode_chunk
from llmops_sidecars.openai.chat import ChatRequest, StreamOptions, encode_request
from llmops_sidecars.openai.errors import (
    ApiError,
    engine_failed,
    engine_unavailable,
    invalid_request,
    jittered_retry_after,
    too_many_requests,
)
from llmops_sidecars.openai.events import DONE_DATA, EventSplitter, EventTooLargeError
from llmops_sidecars.proxy.downstream import (
    DownstreamCutError,
    DownstreamResponse,
    DownstreamUnavailableError,
    HttpDownstream,
    read_response,
)

CONNECT_SECONDS = 10.0
"""A provider may be on another continent, behind TLS."""

MAX_ERROR_BYTES = 64 * 1024
OK = 200
TOO_MANY_REQUESTS = 429
CLIENTS_FAULT = frozenset({400, 413, 422})
"""Statuses whose message is for the author of the request; the others are about our key, model name or the provider."""


class OpenAIHttp:
    """The driver."""

    def __init__(self, settings: OpenAIEngine) -> None:
        self._settings = settings
        self._http = HttpDownstream(url=settings.url.rstrip("/"), connect_seconds=CONNECT_SECONDS)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        """Stream the answer to a request."""
        body = encode_request(_outgoing(request, self._settings.model))
        try:
            async with self._http.request("POST", "/chat/completions", self._headers(), body) as response:
                if response.status != OK:
                    raise _refusal(response, await read_response(response, MAX_ERROR_BYTES))
                async with contextlib.aclosing(_pieces(response)) as pieces:
                    async for piece in pieces:
                        yield piece
        except DownstreamUnavailableError as unavailable:
            if unavailable.refused:
                raise EngineUnreachableError from unavailable
            raise engine_unavailable() from unavailable
        except (DownstreamCutError, EventTooLargeError) as cut:
            raise engine_failed() from cut

    async def probe(self) -> None:
        """Ask for the provider's models: that costs nothing, and says whether the key is good."""
        try:
            async with self._http.request("GET", "/models", self._headers()) as response:
                status = response.status
        except DownstreamUnavailableError as unavailable:
            raise engine_unavailable() from unavailable
        if status != OK:
            raise engine_unavailable(f"The provider answers its list of models with status {status}.")

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    def _headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The key is read each time: a changed Secret counts from the next request on."""
        headers = ((b"content-type", b"application/json"), (b"accept", b"text/event-stream"))
        if self._settings.key_file is None:
            return headers
        return (*headers, (b"authorization", b"Bearer " + _key(Path(self._settings.key_file))))


def _key(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise engine_unavailable(f"The provider's key cannot be read: {error.strerror}.") from error


def _outgoing(request: GenerateRequest, model: str) -> ChatRequest:
    """The request as the provider gets it: streaming, with usage, bounded in the field that the client used."""
    limit = request.tokens_or(request.output_tokens)
    name = (
        "max_tokens" if request.chat.max_tokens and not request.chat.max_completion_tokens else "max_completion_tokens"
    )
    changes = {"model": model, "stream": True, "stream_options": StreamOptions(include_usage=True), "prompt": None}
    return msgspec.structs.replace(request.chat, **changes, **{name: limit})


def _refusal(response: DownstreamResponse, body: bytes) -> ApiError:
    if response.status == TOO_MANY_REQUESTS:
        return too_many_requests(_retry_after(response.headers.get("retry-after", "")))
    if response.status not in CLIENTS_FAULT:
        return engine_unavailable()
    return invalid_request(_message(body) or "The model's provider refuses this request.", code="refused_by_provider")


def _retry_after(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() else jittered_retry_after()


def _message(body: bytes) -> str | None:
    """The words of an error in OpenAI's envelope, whose other fields providers fill in their own ways."""
    try:
        return str(msgspec.json.decode(body)["error"]["message"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        return None


async def _pieces(response: DownstreamResponse) -> AsyncGenerator[Piece]:
    """The chunks as pieces; the last one waits for the usage, which comes after the finish reason."""
    last: Piece | None = None
    chunks = _chunks(response)
    async for chunk in chunks:
        piece = _piece(chunk)
        if last is not None:
            last = msgspec.structs.replace(last, usage=piece.usage or last.usage)
        elif piece.finish_reason is not None:
            last = piece
        elif piece != Piece():
            yield piece
    if last is not None:
        yield last


def _piece(chunk: Chunk) -> Piece:
    if not chunk.choices:
        return Piece(usage=chunk.tokens)
    choice = chunk.choices[0]
    if choice.index != 0 or len(chunk.choices) > 1:
        raise engine_failed("The model answered with several choices.")
    delta = choice.delta
    said = bool(delta.content or delta.refusal or delta.tool_calls)
    return Piece(
        text=delta.content or "",
        tokens=int(said),
        finish_reason=choice.finish_reason,
        refusal=delta.refusal,
        tool_calls=delta.tool_calls,
        usage=chunk.tokens,
    )


async def _chunks(response: DownstreamResponse) -> AsyncIterator[Chunk]:
    splitter = EventSplitter()
    async for data in response.stream():
        for event in splitter.feed(data):
            if event == DONE_DATA:
                await settle(response.stream())
                return
            yield _decoded(event)


def _decoded(event: bytes) -> Chunk:
    """A chunk; a provider's own error, whatever it says, becomes ours."""
    try:
        return decode_chunk(event)
    except ApiError as error:
        raise engine_failed() from error
