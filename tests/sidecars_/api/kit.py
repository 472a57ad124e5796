"""Guard and cache behind a real server on loopback, in front of an engine that stands at the wire."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from llmops_sidecars.cache.app import CacheApp
from llmops_sidecars.contract import (
    CacheSettings,
    Configuration,
    Contract,
    Limits,
    OpenAIEngine,
    Pattern,
    PatternsRule,
    PiiRule,
    Policy,
    SecretsRule,
    StreamWindow,
    encode,
)
from llmops_sidecars.engine.app import EngineApp
from llmops_sidecars.guard.app import GuardApp
from llmops_sidecars.guard.serving import build
from llmops_sidecars.openai.answers import ChunkChoice, Delta, FunctionDelta, ToolCallDelta, Usage
from llmops_sidecars.openai.embeddings import (
    Embedding,
    EmbeddingsResponse,
    EmbeddingsUsage,
    encode_embeddings,
    encoded_vector,
)
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.openai.events import DONE, STREAM_HEADERS, ChunkWriter
from llmops_sidecars.proxy import asgi
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.inprocess import AppDownstream
from llmops_sidecars.proxy.server import Listener, listener

WRITER = ChunkWriter("chatcmpl-engine", 1_700_000_000, "engine-model")
START_SECONDS = 20.0

Item = bytes | float | ApiError | None
"""What the engine does next: sends events, waits so many seconds, fails, or cuts its answer off (None)."""


def said(*texts: str, reason: str = "stop", n: int = 1) -> list[Item]:
    """A whole answer, an event for each text of each choice."""
    choices = [WRITER.choice(ChunkChoice(index, Delta(content=text))) for text in texts for index in range(n)]
    ends = [WRITER.choice(ChunkChoice(index, Delta(), reason)) for index in range(n)]
    return [WRITER.role(), *choices, *ends, WRITER.usage(Usage(3, len(texts), 3 + len(texts))) + DONE]


def called(*calls: tuple[str, str]) -> list[Item]:
    """An answer that calls functions, each with its arguments in two pieces."""
    events: list[Item] = []
    for index, (name, arguments) in enumerate(calls):
        half = len(arguments) // 2
        head = ToolCallDelta(index, f"engine-{index}", "function", FunctionDelta(name, arguments[:half]))
        tail = ToolCallDelta(index, function=FunctionDelta(arguments=arguments[half:]))
        events += [WRITER.delta(Delta(tool_calls=(delta,))) for delta in (head, tail)]
    return [*events, *said(reason="tool_calls")[1:]]


@dataclass
class Engine:
    """The engine's application: answers with what `script` says to a request; it remembers the requests."""

    script: Callable[[dict[str, Any]], list[Item]] = lambda request: said("Hello ", "there", n=request.get("n") or 1)
    requests: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0
    """How many clients left before their answer had ended."""

    def says(self, *texts: str, reason: str = "stop") -> None:
        """Answer with these from now on."""
        self.script = lambda _: said(*texts, reason=reason)

    def does(self, *items: Item) -> None:
        """Do this from now on."""
        self.script = lambda _: list(items)

    def once(self, *first: list[Item]) -> None:
        """Do these, one with each request, and then as before."""
        before, left = self.script, list(first)
        self.script = lambda request: left.pop(0) if left else before(request)

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        body = await asgi.read_body(scope, receive, 1 << 24)
        if scope["path"] in {"/probe", "/metrics"}:
            await asgi.send_json(send, 200, b"")
            return
        request = msgspec.json.decode(body)
        self.requests.append(request)
        if scope["path"] == "/v1/embeddings":
            await asgi.send_json(send, 200, _vectors(request))
            return
        try:
            await asgi.until_disconnect(receive, self._play(asgi.StreamSender(send), self.script(request)))
        except asgi.ClientDisconnectedError:
            self.left += 1
        except asyncio.CancelledError:
            self.left += 1
            raise

    async def _play(self, sender: asgi.StreamSender, items: list[Item]) -> None:
        for item in items:
            if isinstance(item, float):
                await asyncio.sleep(item)
            elif isinstance(item, ApiError):
                await asgi.send_failure(sender, item)
                return
            elif item is None:
                break
            else:
                if not sender.started:
                    await sender.start(200, STREAM_HEADERS)
                await sender.write(item)
        await sender.end()


def _vectors(asked: dict[str, Any]) -> bytes:
    form = asked.get("encoding_format")
    data = tuple(Embedding(encoded_vector((float(place), 0.5), form), place) for place, _ in enumerate(asked["input"]))
    return encode_embeddings(EmbeddingsResponse(data, "m", EmbeddingsUsage(len(data), len(data))))


POLICY = Policy(
    name="strict",
    version="p1",
    input=(PiiRule(), SecretsRule()),
    output=(PiiRule(), PatternsRule((Pattern("project", r"(?i)project\s+x"),))),
    stream=StreamWindow(64, 0.05),
)


def contract(**fields: Any) -> Contract:
    """Personal data is masked both ways, secrets are refused, answers are remembered."""
    one = Configuration("r1", policy=POLICY, cache=CacheSettings(ttl_seconds=60))
    return Contract("chat", OpenAIEngine("http://engine", "m"), (one,), Limits(**fields))


@dataclass(frozen=True)
class Service:
    """What is served."""

    engine: Engine
    url: str
    port: int

    @property
    def api(self) -> str:
        """What an OpenAI client calls its base URL."""
        return f"{self.url}/v1"


@contextlib.contextmanager
def service(folder: Path, used: Contract | None = None, behind: EngineApp | None = None) -> Iterator[Service]:
    """Serve, in a thread with an event loop of its own, so that synchronous clients can be served too.

    `behind`: a real engine's application, in the place of the one at the wire.
    """
    wire, document = Engine(), folder / "contract.json"
    document.write_bytes(encode(used or contract()))
    started, loop = threading.Event(), asyncio.new_event_loop()
    servers: list[Listener] = []

    async def serve() -> None:
        for_cache, for_guard = ContractFile(document, lambda one: one), ContractFile(document, build)
        for_cache.check()
        for_guard.check()
        guard = GuardApp(for_guard, AppDownstream(CacheApp(AppDownstream(behind or wire), for_cache)))
        servers.append(listener(guard, host="127.0.0.1"))
        serving = asyncio.ensure_future(servers[0].serve())
        while not (servers[0].started or serving.done()):  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        started.set()
        await serving
        if behind is not None:
            await behind.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert started.wait(START_SECONDS), "the server did not start"
        port = int(servers[0].servers[0].sockets[0].getsockname()[1])
        yield Service(wire, f"http://127.0.0.1:{port}", port)
    finally:
        for server in servers:
            server.should_exit = server.force_exit = True
        thread.join(START_SECONDS)
        loop.close()
