"""The cache as an ASGI application in front of the engine's; `docs/dev/dataplane.md` has its interface."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from llmops_sidecars.cache.generation import CHAT_PATH, OK
from llmops_sidecars.cache.purge import read_purge
from llmops_sidecars.cache.request import read_request
from llmops_sidecars.cache.service import Cache
from llmops_sidecars.openai.errors import (
    ApiError,
    engine_unavailable,
    invalid_request,
    method_not_allowed,
    not_ready,
    route_not_found,
)
from llmops_sidecars.proxy import asgi, metrics
from llmops_sidecars.proxy.asgi import ClientDisconnectedError, StreamSender
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.downstream import DownstreamError, read_response
from llmops_sidecars.proxy.inprocess import AppDownstream

MAX_BODY_BYTES = 64 * 1024 * 1024
"""The guard bounds what clients send; this bounds what a broken one could."""

MAX_ANSWER_BYTES = 256 * 1024 * 1024
"""The largest answer of the engine to anything but a chat request: thousands of embeddings in JSON."""

PASSED_ON, PASSED_BACK = (b"content-type", b"x-request-id"), ("content-type", "retry-after", "x-llmops-engine")
"""Headers of requests that the engine answers itself, and of its answers to them."""

Handler = Callable[[asgi.Scope, bytes, asgi.Receive, asgi.Send], Awaitable[None]]
Reply = tuple[int, dict[str, str], bytes]


class CacheApp:
    """The application. `engine` is what it wraps; `clock` is monotonic, `wall` in Unix seconds.

    Its owner polls `contract_file`, and awaits `run`.
    """

    def __init__(
        self,
        engine: AppDownstream,
        contract_file: ContractFile[Any],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._engine, self._clock, self._wall = engine, clock, wall
        self._contract_file = contract_file
        self._cache = Cache(engine, clock, wall)
        self._routes: dict[str, tuple[str, Handler]] = {
            CHAT_PATH: ("POST", self._chat),
            "/commit": ("POST", self._commit),
            "/purge": ("POST", self._purge),
            "/v1/embeddings": ("POST", self._pass_on),
            "/probe": ("GET", self._pass_on),
            "/drain": ("POST", self._pass_on),
            "/metrics": ("GET", self._exposition),
            "/config": ("GET", self._config),
        }
        contract_file.subscribe(lambda new, _: self._cache.apply(new.contract))
        if contract_file.current is not None:
            self._cache.apply(contract_file.current.contract)

    async def run(self) -> None:
        """Keep up with the shared store for ever, where there is one."""
        await self._cache.sharing.run()

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one request."""
        try:
            handler = self._route(scope["method"], scope["path"])
            body = await asgi.read_body(scope, receive, MAX_BODY_BYTES)
            await handler(scope, body, receive, send)
        except ApiError as error:
            await asgi.send_error(send, error)
        except ClientDisconnectedError:
            return

    def _route(self, method: str, path: str) -> Handler:
        if path not in self._routes:
            raise route_not_found()
        allowed, handler = self._routes[path]
        if method != allowed:
            raise method_not_allowed(allowed)
        return handler

    async def _chat(self, scope: asgi.Scope, body: bytes, receive: asgi.Receive, send: asgi.Send) -> None:
        if self._contract_file.current is None:
            raise not_ready(self._contract_file.error or "no contract has been read yet")
        request = read_request(self._contract_file.current.contract, scope, body, self._clock(), self._wall())
        if request.key is None:
            await self._cache.bypass(request, receive, send)
            return
        sender = StreamSender(send)
        try:
            await asgi.until_disconnect(receive, self._cache.answer(request, sender))
        except ApiError as error:
            await asgi.send_failure(sender, error)

    async def _commit(self, scope: asgi.Scope, _body: bytes, _receive: asgi.Receive, send: asgi.Send) -> None:
        request_id = asgi.header(scope, b"x-request-id")
        if request_id is None:
            raise invalid_request("Say in x-request-id which answer is meant.", "x-request-id", "missing_field")
        await asgi.send_json(send, OK, msgspec.json.encode({"remembered": self._cache.commit(request_id)}))

    async def _purge(self, _scope: asgi.Scope, body: bytes, _receive: asgi.Receive, send: asgi.Send) -> None:
        await asgi.send_json(send, OK, msgspec.json.encode(await self._cache.purge(read_purge(body))))

    async def _config(self, _scope: asgi.Scope, _body: bytes, _receive: asgi.Receive, send: asgi.Send) -> None:
        current = self._contract_file.current
        shared = {"shared": problem} if (problem := self._cache.sharing.problem) is not None else {}
        state = {"digest": current.digest if current else None, "error": self._contract_file.error, **shared}
        await asgi.send_json(send, OK, msgspec.json.encode(state))

    async def _exposition(self, _scope: asgi.Scope, _body: bytes, receive: asgi.Receive, send: asgi.Send) -> None:
        """The cache's metrics, then the engine's; the cache's alone when the engine has none to give."""
        try:
            status, _, engine = await asgi.until_disconnect(receive, self._ask("GET", "/metrics"))
        except DownstreamError:
            status, engine = 0, b""
        exposition = self._cache.exposition() + (engine if status == OK else b"")
        await asgi.send_body(send, OK, exposition, [(b"content-type", metrics.CONTENT_TYPE.encode())])

    async def _pass_on(self, scope: asgi.Scope, body: bytes, receive: asgi.Receive, send: asgi.Send) -> None:
        asked = [(name, value) for name, value in scope["headers"] if name in PASSED_ON]
        try:
            status, headers, answer = await asgi.until_disconnect(
                receive, self._ask(scope["method"], scope["path"], asked, body)
            )
        except DownstreamError as error:
            raise engine_unavailable() from error
        kept = [(name.encode(), headers[name].encode()) for name in PASSED_BACK if name in headers]
        await asgi.send_body(send, status, answer, kept)

    async def _ask(self, method: str, path: str, headers: asgi.Headers = (), body: bytes = b"") -> Reply:
        async with self._engine.request(method, path, headers, body) as response:
            return response.status, dict(response.headers), await read_response(response, MAX_ANSWER_BYTES)
