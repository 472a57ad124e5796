"""What tests of the cache's application need: an engine that a test answers for, and a client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from prometheus_client.parser import text_string_to_metric_families

from llmops_sidecars.cache.app import CacheApp
from llmops_sidecars.contract import (
    CacheSettings,
    Configuration,
    Contract,
    Policy,
    SharedStore,
    TritonGrpcEngine,
    encode,
)
from llmops_sidecars.openai.answers import Chunk, ChunkChoice, Delta, Usage, decode_chunk, encode_answer
from llmops_sidecars.openai.assembly import AssembledChoice, Assembly
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.openai.events import DONE, DONE_DATA, EventSplitter, encode_event, error_event
from llmops_sidecars.proxy import asgi
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.downstream import DownstreamResponse, read_response
from llmops_sidecars.proxy.inprocess import AppDownstream

CHAT = "/v1/chat/completions"
REQUEST = {"model": "chat", "messages": [{"role": "user", "content": "Why is the sky blue?"}], "max_tokens": 64}
USAGE = Usage(6, 3, 9)
HEADERS = {
    "x-request-id": "r1",
    "x-llmops-tenant": "tenant-a",
    "x-llmops-revision": "one",
    "x-llmops-policy": "strict-1",
    "x-llmops-prompt": "support@1",
}


def contract(
    ttl_seconds: float = 60.0,
    max_bytes: int = 1024 * 1024,
    revision: str = "one",
    shared: SharedStore | UnsetType = UNSET,
) -> Contract:
    settings = CacheSettings(ttl_seconds, max_bytes, shared)
    configuration = Configuration(revision, policy=Policy(name="strict", version="strict-1"), cache=settings)
    return Contract("chat", TritonGrpcEngine("localhost:8001"), (configuration,))


def chunk(
    text: str | None = None, *, reason: str | None = None, usage: Usage | None = None, refusal: str | None = None
) -> Chunk:
    """A chunk as an engine writes it; one with a usage has no choices."""
    choices = () if usage else (ChunkChoice(delta=Delta(content=text, refusal=refusal), finish_reason=reason),)
    return Chunk("engine-id", 1_700_000_000, "chat", choices, usage=usage or msgspec.UNSET)


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Generation:
    """A request that arrived at the engine; the test says what is answered."""

    def __init__(self, scope: asgi.Scope, body: bytes) -> None:
        self.headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.body = msgspec.json.decode(body)
        self.left = asyncio.Event()
        self.answer: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def say(self, *texts: str) -> Generation:
        for text in texts:
            self.chunk(chunk(text))
        return self

    def chunk(self, value: Chunk) -> Generation:
        self.answer.put_nowait(encode_event(encode_answer(value)))
        return self

    def end(self, reason: str = "stop", usage: Usage = USAGE) -> None:
        self.chunk(chunk(reason=reason)).chunk(chunk(usage=usage))
        self.answer.put_nowait(DONE)
        self.cut()

    def fail(self, error: Exception) -> None:
        """An ApiError is a response before anything was said, an event after that; others break the engine."""
        self.answer.put_nowait(error)
        self.cut()

    def cut(self) -> None:
        self.answer.put_nowait(None)


class FakeEngine:
    """An engine application. `generations` has the requests in their order; with `text` each is answered at once."""

    def __init__(self, text: str | None = None) -> None:
        self.text = text
        self.generations: list[Generation] = []
        self.asked: list[str] = []
        self._arrived: asyncio.Queue[Generation] = asyncio.Queue()
        self.replies: dict[str, tuple[int, bytes]] = {"/metrics": (200, b"engine_metric 1.0\n")}

    async def next(self) -> Generation:
        async with asyncio.timeout(5):
            return await self._arrived.get()

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        body = await asgi.read_body(scope, receive, 1 << 20)
        self.asked.append(f"{scope['method']} {scope['path']}")
        if scope["path"] != CHAT:
            status, reply = self.replies[scope["path"]]
            await asgi.send_json(send, status, reply, [(b"retry-after", b"2")])
            return
        generation = Generation(scope, body)
        self.generations.append(generation)
        self._arrived.put_nowait(generation)
        if self.text is not None:
            generation.say(self.text).end()
        try:
            await asgi.until_disconnect(receive, _answer(generation, asgi.StreamSender(send)))
        except asgi.ClientDisconnectedError:
            generation.left.set()
        except asyncio.CancelledError:
            generation.left.set()
            raise


async def _answer(generation: Generation, sender: asgi.StreamSender) -> None:
    while (item := await generation.answer.get()) is not None:
        if isinstance(item, ApiError) and not sender.started:
            await sender.start(item.status, [*asgi.error_headers(item), (b"content-type", b"application/json")])
            await sender.end(item.encode())
            return
        if isinstance(item, Exception) and not isinstance(item, ApiError):
            raise item
        if not sender.started:
            await sender.start(200, [(b"content-type", b"text/event-stream")])
        await sender.write(error_event(item) if isinstance(item, ApiError) else item)
    await sender.end()


@dataclass(frozen=True)
class Answer:
    """What a client got: everything, read to the end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def outcome(self) -> str | None:
        return self.headers.get("x-llmops-cache")

    @property
    def events(self) -> list[bytes]:
        return EventSplitter().feed(self.body)

    @property
    def done(self) -> bool:
        return self.events[-1] == DONE_DATA

    @property
    def chunks(self) -> list[Chunk]:
        return [decode_chunk(event) for event in self.events if event != DONE_DATA]

    @property
    def texts(self) -> list[str]:
        return [choice.delta.content for chunk in self.chunks for choice in chunk.choices if choice.delta.content]

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def error(self) -> str:
        """The code of the error that the answer is, or ends with."""
        data = self.events[-1] if self.status == 200 else self.body
        code = msgspec.json.decode(data)["error"]["code"]
        assert isinstance(code, str)
        return code

    @property
    def choice(self) -> AssembledChoice:
        """The only choice, put together."""
        assembly = Assembly()
        for chunk in self.chunks:
            for choice in chunk.choices:
                assembly.add(choice)
        (whole,) = assembly.choices()
        return whole

    @property
    def usage(self) -> Usage | None:
        return next((chunk.tokens for chunk in self.chunks if chunk.tokens), None)

    @property
    def ids(self) -> set[str]:
        return {chunk.id for chunk in self.chunks}


class Bench:
    """A cache in front of a fake engine, with its contract in a file."""

    def __init__(self, folder: Path, *, text: str | None = None, settings: Contract | None = None) -> None:
        self.clock = Clock()
        self.engine = FakeEngine(text)
        self._file = folder / "contract.json"
        self.contract_file: ContractFile[None] = ContractFile(self._file, lambda _: None)
        self.write(encode(settings or contract()))
        self.app = CacheApp(AppDownstream(self.engine), self.contract_file, clock=self.clock, wall=self.clock)
        self._client = AppDownstream(self.app)

    def write(self, document: bytes) -> None:
        """Replace the contract and have it read."""
        self._file.write_bytes(document)
        self.contract_file.check()

    async def ask(self, fields: dict[str, Any] | None = None, **headers: str) -> Answer:
        """A chat request; keyword arguments replace headers, their `_` standing for `-`."""
        fields = REQUEST if fields is None else fields
        replaced = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.call("POST", CHAT, {**HEADERS, **replaced}, msgspec.json.encode(fields))

    def stream(self) -> AbstractAsyncContextManager[DownstreamResponse]:
        """The usual request, to be read by the test; leaving the block is leaving the cache."""
        headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        return self._client.request("POST", CHAT, headers, msgspec.json.encode(REQUEST))

    async def call(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        fields = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        async with self._client.request(method, path, fields, body) as response:
            return Answer(response.status, dict(response.headers), await read_response(response, 1 << 24))

    async def purge(self, **names: Any) -> Any:
        """What the cache says of a purge."""
        return msgspec.json.decode((await self.call("POST", "/purge", body=msgspec.json.encode(names))).body)

    async def commit(self, request_id: str = "r1") -> bool:
        answer = await self.call("POST", "/commit", {"x-request-id": request_id})
        remembered = msgspec.json.decode(answer.body)["remembered"]
        assert isinstance(remembered, bool)
        return remembered

    async def remember(self, fields: dict[str, Any] | None = None, **headers: str) -> Answer:
        """Ask, and say that the answer passed the guard."""
        answer = await self.ask(fields, **headers)
        await self.commit(headers.get("x_request_id", "r1"))
        return answer

    async def metric(self, name: str, **labels: str) -> float:
        text = (await self.call("GET", "/metrics")).body.decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Keep up with the shared store for the time of a `with`, from when it can be used."""
        working = asyncio.create_task(self.app.run())
        try:
            async with asyncio.timeout(5):
                while not await self.metric("llmops_cache_shared_connections"):  # noqa: ASYNC110 - as below
                    await asyncio.sleep(0.01)
            yield
        finally:
            working.cancel()
            await asyncio.wait({working})

    async def until_asked(self, outcome: str, times: int = 1) -> None:
        """Wait until so many requests have come to an outcome."""
        async with asyncio.timeout(5):
            while await self.metric("llmops_cache_lookups_total", outcome=outcome) < times:  # noqa: ASYNC110 - as below
                await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that the loop's other tasks bring about."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event, and needs none
            await asyncio.sleep(0)
