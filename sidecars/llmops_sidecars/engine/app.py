"""The engine as an ASGI application: the internal form of a request in, OpenAI chunks out.

POST /v1/chat/completions   a generation, always streamed; the usage is always told, the guard drops it if not asked for
POST /v1/embeddings         vectors, where the engine makes them
GET  /probe                 200 when the engine produces tokens, else the error
GET  /metrics               the engine's metrics
POST /drain                 connections to the engine are closed whenever nothing is in flight
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry

from llmops_sidecars.contract import Contract, Engine
from llmops_sidecars.engine.current import CurrentRoute, Use
from llmops_sidecars.engine.driver import Driver, EmbedRequest, GenerateRequest
from llmops_sidecars.engine.generation import answer_events
from llmops_sidecars.engine.make import make_driver, make_route
from llmops_sidecars.engine.metrics import EngineMetrics
from llmops_sidecars.engine.route import Course, Route
from llmops_sidecars.openai.chat import decode_shape
from llmops_sidecars.openai.embeddings import (
    Embedding,
    EmbeddingsResponse,
    EmbeddingsUsage,
    decode_embeddings_request,
    encode_embeddings,
    encoded_vector,
)
from llmops_sidecars.openai.errors import (
    ApiError,
    draining,
    engine_timeout,
    internal_error,
    method_not_allowed,
    route_not_found,
)
from llmops_sidecars.openai.events import STREAM_HEADERS, ChunkWriter
from llmops_sidecars.proxy.asgi import (
    JSON,
    ClientDisconnectedError,
    Receive,
    Scope,
    Send,
    StreamSender,
    header,
    read_body,
    send_failure,
    until_disconnect,
)
from llmops_sidecars.proxy.metrics import CONTENT_TYPE, exposition

MAX_BODY_BYTES = 32 * 1024 * 1024
"""The guard has applied the contract's limit; templates may have made more of it since."""

PROBE_SECONDS = 5.0
"""How long a probe may take."""

FRESH_SECONDS = 2.0
"""A token of any request that is not older than this answers a probe: a busy engine need not queue one more."""

SERVED_HEADER = b"x-llmops-engine"
"""Tells which engine answered."""

Handler = Callable[[Scope, Receive, StreamSender], Awaitable[None]]

_log = logging.getLogger(__name__)


class EngineApp:
    """The application. `make` turns an engine of the contract into a driver."""

    def __init__(self, registry: CollectorRegistry, make: Callable[[Engine], Driver] = make_driver) -> None:
        self._registry, self._metrics = registry, EngineMetrics(registry)
        self._current = CurrentRoute(lambda contract: make_route(contract, self._metrics, make))
        self._metrics.ejected.set_function(lambda: self._current.ejected)
        self._routes: dict[str, tuple[str, Handler]] = {
            "/v1/chat/completions": ("POST", self._complete),
            "/v1/embeddings": ("POST", self._embed),
            "/probe": ("GET", self._probe),
            "/drain": ("POST", self._drain),
            "/metrics": ("GET", self._exposition),
        }

    def configure(self, contract: Contract) -> None:
        """Use a contract from the next request on; raises what `make` raises."""
        self._current.configure(contract)

    async def close(self) -> None:
        """Close all connections, at the end of the process."""
        await self._current.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every error leaves in OpenAI's envelope."""
        sender = StreamSender(send)
        try:
            await self._answer(scope, receive, sender)
        except ClientDisconnectedError as gone:
            _log.info("client gone", extra={"reason": type(gone).__name__})

    async def _answer(self, scope: Scope, receive: Receive, sender: StreamSender) -> None:
        try:
            await self._handler(scope)(scope, receive, sender)
        except ApiError as error:
            await send_failure(sender, error)
        except ClientDisconnectedError:
            raise
        except Exception:  # noqa: BLE001 - a bug ends one request, in the envelope that clients know
            _log.exception("a request failed")
            await send_failure(sender, internal_error())

    def _handler(self, scope: Scope) -> Handler:
        if scope["path"] not in self._routes:
            raise route_not_found()
        method, handler = self._routes[scope["path"]]
        if scope["method"] != method:
            raise method_not_allowed(method)
        return handler

    async def _complete(self, scope: Scope, receive: Receive, sender: StreamSender) -> None:
        with self._metrics.request(), self._current.lease() as use:
            body = await read_body(scope, receive, MAX_BODY_BYTES)
            request = GenerateRequest(_name(scope), decode_shape(body), use.contract.limits.output_tokens)
            await until_disconnect(receive, self._stream(use, request, _course(use, body), sender))

    async def _stream(self, use: Use, request: GenerateRequest, course: Course, sender: StreamSender) -> None:
        """Send the events of one generation."""
        writer = ChunkWriter(f"chatcmpl-{request.id}", int(time.time()), use.contract.model)
        try:
            async with contextlib.aclosing(
                answer_events(use.route.generate(request, course), writer, request)
            ) as events:
                async for data in events:
                    if not sender.started:
                        await sender.start(200, (*STREAM_HEADERS, _served(course)))
                    await sender.write(data)
        except ApiError as error:
            _log.warning("generation failed", extra={"request_id": request.id, "code": error.code})
            raise
        await sender.end()

    async def _embed(self, scope: Scope, receive: Receive, sender: StreamSender) -> None:
        with self._metrics.request(), self._current.lease() as use:
            body = await read_body(scope, receive, MAX_BODY_BYTES)
            request, course = decode_embeddings_request(body), _course(use, body)
            found = await until_disconnect(receive, use.route.embed(EmbedRequest(_name(scope), request), course))
            data = tuple(
                Embedding(encoded_vector(vector, request.encoding_format), index)
                for index, vector in enumerate(found.vectors)
            )
            usage = EmbeddingsUsage(found.tokens, found.tokens)
            answer = encode_embeddings(EmbeddingsResponse(data, use.contract.model, usage))
            await sender.whole(200, answer, (JSON, _served(course)))

    async def _probe(self, _scope: Scope, _receive: Receive, sender: StreamSender) -> None:
        if self._current.draining:
            raise draining()
        age = self._metrics.seconds_since_token()
        if age is None or age > FRESH_SECONDS:
            with self._current.lease() as use:
                await _probe(use.route)
        await sender.whole(200, b"{}")

    async def _drain(self, _scope: Scope, _receive: Receive, sender: StreamSender) -> None:
        self._current.drain()
        await sender.whole(200, b"{}")

    async def _exposition(self, _scope: Scope, _receive: Receive, sender: StreamSender) -> None:
        await sender.whole(200, exposition(self._registry), ((b"content-type", CONTENT_TYPE.encode()),))


async def _probe(route: Route) -> None:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await route.probe()
    except TimeoutError as error:
        raise engine_timeout("an answer to a probe", PROBE_SECONDS) from error


def _name(scope: Scope) -> str:
    return header(scope, b"x-request-id") or uuid.uuid4().hex


def _course(use: Use, body: bytes) -> Course:
    return Course(len(body), use.contract.limits, asyncio.get_running_loop().time())


def _served(course: Course) -> tuple[bytes, bytes]:
    return SERVED_HEADER, course.served.encode()
