"""An OpenAI-compatible provider over HTTP: the request is passed on nearly as it came, its model and limit replaced."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import msgspec
from msgspec import Struct

from llmops_sidecars.contract import OpenAIEngine
from llmops_sidecars.engine.driver import (
    EmbedRequest,
    EngineUnavailableError,
    GenerateRequest,
    Piece,
    Vectors,
    merged,
    settle,
)
from llmops_sidecars.openai.answers import Chunk, ChunkChoice, Logprobs, decode_chunk
from llmops_sidecars.openai.chat import ChatRequest, StreamOptions, encode_request
from llmops_sidecars.openai.embeddings import Embedding, EmbeddingsUsage, decoded_vector, encode_embeddings
from llmops_sidecars.openai.errors import (
    ApiError,
    engine_failed,
    engine_unavailable,
    invalid_request,
    jittered_retry_after,
    too_many_requests,
)
from llmops_sidecars.openai.events import DONE_DATA, EventSplitter, EventTooLargeError
from llmops_sidecars.proxy.client import HttpDownstream
from llmops_sidecars.proxy.downstream import (
    DownstreamCutError,
    DownstreamResponse,
    DownstreamUnavailableError,
    read_response,
)

CONNECT_SECONDS = 10.0
"""A provider may be on another continent, behind TLS."""

MAX_ERROR_BYTES = 64 * 1024
MAX_VECTORS_BYTES = 256 * 1024 * 1024
"""2048 vectors of some thousand numbers in JSON."""

OK = 200
TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE = 429, 503
CLIENTS_FAULT = frozenset({400, 413, 422})
"""Statuses whose message is for the author of the request; the others are about our key, model name or the provider."""


class _Embeddings(Struct, frozen=True):
    """An answer with embeddings, read leniently: providers leave out what has a default here."""

    data: tuple[Embedding, ...]
    usage: EmbeddingsUsage = EmbeddingsUsage()


_EMBEDDINGS = msgspec.json.Decoder(_Embeddings)


class OpenAIHttp:
    """The driver."""

    def __init__(self, settings: OpenAIEngine) -> None:
        self._settings = settings
        self._http = HttpDownstream(url=settings.url.rstrip("/"), connect_seconds=CONNECT_SECONDS)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        """Stream the answer to a request."""
        body, reading = encode_request(_outgoing(request, self._settings.model)), _Reading(request)
        try:
            async with self._asked("/chat/completions", body) as response:
                while not reading.done and (data := await response.read()):
                    for piece in reading.pieces(data):
                        yield piece
                    if reading.error is not None:
                        raise reading.error
                if reading.done:
                    await settle(response.read)
                yield reading.last
        except (DownstreamCutError, EventTooLargeError) as cut:
            if reading.begun:
                raise engine_failed() from cut
            raise EngineUnavailableError from cut

    async def embed(self, request: EmbedRequest) -> Vectors:
        """The vectors, as numbers, whatever form the client wants them in."""
        wanted = request.embeddings
        changes = {"model": self._settings.model, "encoding_format": "float", "user": None}
        try:
            async with self._asked(
                "/embeddings", encode_embeddings(msgspec.structs.replace(wanted, **changes))
            ) as answer:
                return _vectors(await read_response(answer, MAX_VECTORS_BYTES), len(wanted.inputs))
        except DownstreamCutError as cut:
            raise EngineUnavailableError from cut

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

    @contextlib.asynccontextmanager
    async def _asked(self, path: str, body: bytes) -> AsyncIterator[DownstreamResponse]:
        """The answer to a request that the provider has taken."""
        try:
            async with self._http.request("POST", path, self._headers(), body) as response:
                if response.status != OK:
                    raise _refusal(response, await read_response(response, MAX_ERROR_BYTES))
                yield response
        except DownstreamUnavailableError as unavailable:
            raise EngineUnavailableError from unavailable

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


def _refusal(response: DownstreamResponse, body: bytes) -> ApiError | EngineUnavailableError:
    if response.status == SERVICE_UNAVAILABLE:
        return EngineUnavailableError()
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


class _Reading:
    """An answer as it is read. `done`: its last event has come; `begun`: some piece of it has.

    `error`: what ends it before that, to be raised once the pieces before it have left; a provider's own words never
    leave.
    """

    def __init__(self, request: GenerateRequest) -> None:
        self._splitter = EventSplitter()
        self._left = request.output_tokens
        self._unfinished = set(range(request.n))
        self._last: Piece | None = None
        self.done = self.begun = False
        self.error: ApiError | None = None

    @property
    def last(self) -> Piece:
        """The piece that ends the last choice, held back because the usage comes after it.

        Raises DownstreamCutError when it has not come.
        """
        if self._last is None:
            raise DownstreamCutError("the stream ends without a reason for each choice")
        return self._last

    def pieces(self, data: bytes) -> list[Piece]:
        """The pieces of one read, but for the last one of all; raises EventTooLargeError.

        Texts that came together leave together, as long as the answer is shorter than it may be: then each counts.
        """
        pieces: list[Piece] = []
        for chunk in self._chunks(data):
            if self._last is None and (text := chunk.text):
                pieces.append(Piece(text, 1))
            else:
                pieces += [piece for piece in _told(chunk) if not self._held(piece)]
        self._left -= sum(piece.tokens for piece in pieces)
        self.begun = self.begun or bool(pieces)
        return merged(pieces) if self._left >= 0 else pieces

    def _chunks(self, data: bytes) -> list[Chunk]:
        chunks: list[Chunk] = []
        try:
            for event in self._splitter.feed(data):
                if event == DONE_DATA:
                    self.done = True
                    break
                chunks.append(decode_chunk(event))
        except ApiError as error:
            self.error = engine_failed()
            self.error.__cause__ = error
        return chunks

    def _held(self, piece: Piece) -> bool:
        """Whether a piece is the last one, or comes after that: then nothing of it counts but the usage."""
        if self._last is not None:
            self._last = msgspec.structs.replace(self._last, usage=piece.usage or self._last.usage)
            return True
        if piece.finish_reason is not None:
            self._unfinished.discard(piece.index)
            self._last = None if self._unfinished else piece
        return self._last is not None


def _told(chunk: Chunk) -> list[Piece]:
    """What a chunk adds to its choices; the usage goes with the last."""
    pieces = [piece for choice in chunk.choices if (piece := _piece(choice)) != Piece(index=choice.index)]
    if chunk.tokens is not None:
        pieces[-1:] = [msgspec.structs.replace(pieces[-1] if pieces else Piece(), usage=chunk.tokens)]
    return pieces


def _piece(choice: ChunkChoice) -> Piece:
    delta, logprobs = choice.delta, choice.logprobs
    said = bool(delta.content or delta.refusal or delta.tool_calls)
    return Piece(
        text=delta.content or "",
        tokens=int(said),
        finish_reason=choice.finish_reason,
        refusal=delta.refusal,
        tool_calls=delta.tool_calls,
        index=choice.index,
        logprobs=logprobs.content or logprobs.refusal if isinstance(logprobs, Logprobs) else None,
    )


def _vectors(body: bytes, inputs: int) -> Vectors:
    """The vectors of an answer; providers count its tokens, or do not."""
    try:
        answer = _EMBEDDINGS.decode(body)
        found = {one.index: decoded_vector(one.embedding) for one in answer.data}
    except (msgspec.DecodeError, ValueError) as error:
        raise engine_failed("The model's answer has an unknown shape.") from error
    if found.keys() != set(range(inputs)):
        raise engine_failed("The model's answer has not one vector for each input.")
    return Vectors(tuple(found[index] for index in range(inputs)), answer.usage.prompt_tokens)
