"""The guard as clients see it: the routes of the OpenAI API that it serves, and errors for everything else."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from functools import partial

from llmops_sidecars.guard.access.control import Access
from llmops_sidecars.guard.admin import Admin
from llmops_sidecars.guard.embedding import EmbeddingWork
from llmops_sidecars.guard.generation import Generation
from llmops_sidecars.guard.metrics import GuardMetrics
from llmops_sidecars.guard.pipeline import Pipeline, Work
from llmops_sidecars.guard.prompts import PromptWork
from llmops_sidecars.guard.readiness import Readiness
from llmops_sidecars.guard.record import request_id_of
from llmops_sidecars.guard.rules.webhook.client import SESSIONS
from llmops_sidecars.guard.serving import Serving
from llmops_sidecars.openai.answers import Model, ModelList, encode_answer
from llmops_sidecars.openai.chat_endpoint import ChatEndpoint
from llmops_sidecars.openai.completions import CompletionEndpoint
from llmops_sidecars.openai.document import document
from llmops_sidecars.openai.errors import (
    ApiError,
    internal_error,
    method_not_allowed,
    model_not_found,
    not_ready,
    route_not_found,
)
from llmops_sidecars.openai.responses.endpoint import ResponsesEndpoint
from llmops_sidecars.proxy.asgi import (
    ClientDisconnectedError,
    Headers,
    Receive,
    Scope,
    Send,
    send_error,
    send_json,
)
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.downstream import Downstream
from llmops_sidecars.proxy.drain import Drain
from llmops_sidecars.proxy.tls import Tls

OK = 200
PREFIX = "/v1"
MODELS_PATH = "/models"
PROMPTS_PATH, RENDER_PATH = "/prompts", re.compile("/prompts/([^/]+)/render")
DOCUMENT_PATH = "/openapi.json"

_log = logging.getLogger(__name__)


class GuardApp:
    """The clients' application; `admin` is the other one, on a port of its own. `run` has to run beside them."""

    def __init__(
        self,
        contract: ContractFile[Serving],
        downstream: Downstream,
        *,
        drain: Drain | None = None,
        tls: Tls | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wire the parts; `tls` is what clients are served with, if it is TLS."""
        metrics, self.drain = GuardMetrics(), drain or Drain()
        self._contract, self._downstream, self._metrics = contract, downstream, metrics
        self.readiness = Readiness(downstream, clock)
        self.access = Access(tls, clock=clock)
        self._pipeline = Pipeline(contract, self.access, self.drain, metrics, clock)
        generation = Generation(downstream, self.readiness, metrics, clock)
        self._works: dict[str, Work] = {
            "/chat/completions": generation.of(ChatEndpoint()),
            "/completions": generation.of(CompletionEndpoint()),
            "/embeddings": EmbeddingWork(downstream, metrics, clock),
            "/responses": generation.of(ResponsesEndpoint()),
        }
        self._prompts = PromptWork(clock)
        self.admin = Admin(contract, downstream, self.access, self.drain, self.readiness, metrics)
        self._started = int(time.time())
        contract.subscribe(lambda new, _: metrics.contract_changed(new.digest))
        contract.subscribe(lambda new, _: self.access.use(new.contract.access))
        if contract.current is not None:
            self.access.use(contract.current.contract.access)
            metrics.contract_changed(contract.current.digest)

    async def run(self) -> None:
        """Watch the contract, keys and certificates, and the engine, for ever."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._contract.run(), name="contract")
                tasks.create_task(self.access.run(), name="access")
                tasks.create_task(self.readiness.run(), name="readiness")
        finally:
            await SESSIONS.close()

    def refused_connection(self, code: str) -> None:
        """A client was refused before its request could be routed."""
        self._metrics.refused_connections.labels(code).inc()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._route(scope, receive, send)
        except ApiError as error:
            await send_error(send, error, _identified(scope))
        except ClientDisconnectedError:
            return
        except Exception:  # noqa: BLE001 - the client gets an answer whatever is wrong, and the log says what
            _log.exception("a request failed", extra={"request_id": request_id_of(scope)})
            await send_error(send, internal_error(), _identified(scope))

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _path(scope)
        if path in self._works:
            _require_method(scope, "POST")
            await self._pipeline(scope, receive, send, self._works[path])
        elif path == MODELS_PATH or path.startswith(f"{MODELS_PATH}/"):
            _require_method(scope, "GET")
            await self._models(scope, path.removeprefix(MODELS_PATH).removeprefix("/"), send)
        elif path == PROMPTS_PATH:
            _require_method(scope, "GET")
            await self._pipeline(scope, receive, send, self._prompts.all)
        elif (rendered := RENDER_PATH.fullmatch(path)) is not None:
            _require_method(scope, "POST")
            await self._pipeline(scope, receive, send, partial(self._prompts.rendered, rendered[1]))
        elif path == DOCUMENT_PATH:
            _require_method(scope, "GET")
            await send_json(send, OK, document(), _identified(scope))
        else:
            raise route_not_found()

    async def _models(self, scope: Scope, name: str, send: Send) -> None:
        if self._contract.current is None:
            raise not_ready(self._contract.error or "no contract has been read yet")
        await self.access.authenticate(scope)
        model = Model(self._contract.current.contract.model, self._started)
        if name and name != model.id:
            raise model_not_found(model.id)
        await send_json(send, OK, encode_answer(model if name else ModelList((model,))), _identified(scope))


def _path(scope: Scope) -> str:
    """The path without what clients add or leave out: `/v1` before it, a slash after it."""
    path: str = scope["path"].rstrip("/")
    return path.removeprefix(PREFIX) if path.startswith(f"{PREFIX}/") else path


def _require_method(scope: Scope, method: str) -> None:
    if scope["method"] != method:
        raise method_not_allowed(method)


def _identified(scope: Scope) -> Headers:
    return [(b"x-request-id", request_id_of(scope).encode())]
