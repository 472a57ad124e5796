"""The administration port: health, metrics, which contract is in use, drain, purge. Not for clients."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from llmops_sidecars.guard.access.caller import partition_of
from llmops_sidecars.guard.access.control import Access
from llmops_sidecars.guard.metrics import GuardMetrics
from llmops_sidecars.guard.readiness import Readiness
from llmops_sidecars.guard.serving import Serving
from llmops_sidecars.openai.errors import ApiError, invalid_json, method_not_allowed, not_ready, route_not_found
from llmops_sidecars.proxy.asgi import (
    ClientDisconnectedError,
    Receive,
    Scope,
    Send,
    read_body,
    send_body,
    send_error,
    send_json,
    until_disconnect,
)
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.downstream import Downstream, DownstreamError, read_response
from llmops_sidecars.proxy.drain import Drain, Phase
from llmops_sidecars.proxy.metrics import CONTENT_TYPE, exposition

OK = 200
FORBIDDEN = 403
ASK_SECONDS = 2.0
"""How long the cache may take to answer such a question."""
MOST_BYTES = 16 * 1024 * 1024
MOST_PURGE_BYTES = 16 * 1024

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)


class Admin:
    """The application."""

    def __init__(
        self,
        contract: ContractFile[Serving],
        downstream: Downstream,
        access: Access,
        drain: Drain,
        readiness: Readiness,
        metrics: GuardMetrics,
    ) -> None:
        """Keep what it tells about."""
        self._contract, self._downstream, self._drain = contract, downstream, drain
        self._access, self._readiness, self._metrics = access, readiness, metrics
        self._draining: asyncio.Task[None] | None = None
        self._routes: dict[str, tuple[str, Handler]] = {
            "/healthz": ("GET", self._healthz),
            "/readyz": ("GET", self._readyz),
            "/metrics": ("GET", self._exposition),
            "/config": ("GET", self._config),
            "/drained": ("GET", self._drained),
            "/drain": ("POST", self._drain_from_here),
            "/purge": ("POST", self._purge_from_here),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            method, handler = self._routes.get(scope["path"], ("", None))
            if handler is None:
                raise route_not_found()
            if scope["method"] != method:
                raise method_not_allowed(method)
            await handler(scope, receive, send)
        except ApiError as error:
            await send_error(send, error)
        except ClientDisconnectedError:
            return

    def start_drain(self) -> asyncio.Task[None]:
        """Begin to leave; the task ends when nothing is in flight and the cache has let go of the engine."""
        if self._draining is None:
            self._drain.start()
            self._draining = asyncio.create_task(self._leave(), name="drain")
        return self._draining

    async def _leave(self) -> None:
        await self._drain.wait_drained()
        try:
            await self._ask("POST", "/drain")
        except (DownstreamError, TimeoutError):
            _log.warning("the cache could not be told to drain")

    async def _healthz(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send_body(send, OK, b"ok\n", [(b"content-type", b"text/plain")])

    async def _readyz(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        if self._contract.current is None:
            raise not_ready(self._contract.error or "no contract has been read yet")
        if self._drain.phase is not Phase.ACCEPTING:
            raise not_ready("it is draining")
        if self._access.blocked is not None:
            raise not_ready(self._access.blocked)
        if not self._readiness.ready:
            raise not_ready(self._readiness.reason)
        await send_body(send, OK, b"ready\n", [(b"content-type", b"text/plain")])

    async def _exposition(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """The guard's metrics, then the cache's; the guard's alone when the cache has none to give."""
        self._metrics.refused_contracts.set(float(self._contract.error is not None))
        self._metrics.access_has(problem.part for problem in self._access.problems)
        try:
            below = await until_disconnect(receive, self._ask("GET", "/metrics"))
        except (DownstreamError, TimeoutError):
            below = b""
        text = exposition(self._metrics.registry) + below
        await send_body(send, OK, text, [(b"content-type", CONTENT_TYPE.encode())])

    async def _config(self, _scope: Scope, receive: Receive, send: Send) -> None:
        current = self._contract.current
        revisions = [one.revision for one in current.contract.configurations] if current else []
        try:
            cache: Any = msgspec.json.decode(await until_disconnect(receive, self._ask("GET", "/config")))
        except (DownstreamError, TimeoutError, msgspec.DecodeError):
            cache = {"digest": None, "error": "the cache does not answer"}
        digest = current.digest if current else None
        problems = {problem.part: problem.reason for problem in self._access.problems}
        state = {
            "digest": digest,
            "error": self._contract.error,
            "revisions": revisions,
            "access": problems,
            "cache": cache,
        }
        await send_json(send, OK, msgspec.json.encode(state))

    async def _drained(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await until_disconnect(receive, self._gone())
        await send_body(send, OK, b"drained\n", [(b"content-type", b"text/plain")])

    async def _gone(self) -> None:
        await self._drain.wait_drained()
        await self.start_drain()

    async def _drain_from_here(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """From this pod only: whoever could drain from outside could take the service down."""
        _require_loopback(scope, "A drain")
        self.start_drain()
        await send_body(send, OK, b"draining\n", [(b"content-type", b"text/plain")])

    async def _purge_from_here(self, scope: Scope, receive: Receive, send: Send) -> None:
        """From this pod only, too. Its `tenant` is a name here, and a partition for the cache."""
        _require_loopback(scope, "A purge")
        body = await read_body(scope, receive, MOST_PURGE_BYTES)
        try:
            asked = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid_json(str(error)) from error
        if isinstance(tenant := asked.get("tenant"), str):
            asked["tenant"] = partition_of(tenant)
        try:
            request = self._downstream.request("POST", "/purge", body=msgspec.json.encode(asked))
            async with asyncio.timeout(ASK_SECONDS), request as response:
                answer = await read_response(response, MOST_BYTES)
        except (DownstreamError, TimeoutError) as error:
            raise not_ready("the cache does not answer") from error
        await send_json(send, response.status, answer)

    async def _ask(self, method: str, path: str) -> bytes:
        async with asyncio.timeout(ASK_SECONDS), self._downstream.request(method, path) as response:
            return await read_response(response, MOST_BYTES)


def _require_loopback(scope: Scope, what: str) -> None:
    """Raises ApiError for who asks from outside of the pod."""
    if not _is_loopback(scope.get("client")):
        raise ApiError(FORBIDDEN, "forbidden", f"{what} can be asked for from inside the pod only.")


def _is_loopback(client: tuple[str, int] | None) -> bool:
    return client is not None and ipaddress.ip_address(client[0]).is_loopback
