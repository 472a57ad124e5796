"""A guard in front of a fake cache that stands at the wire, and what requests to it look like."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from llmops_sidecars.contract import (
    Access,
    Configuration,
    Contract,
    Limits,
    Message,
    OpenAIEngine,
    Pattern,
    PatternsRule,
    PiiRule,
    Policy,
    SecretsRule,
    StreamWindow,
    Template,
    Variable,
    encode,
    files,
)
from llmops_sidecars.guard.app import GuardApp
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.rules.finding import Check, Finding
from llmops_sidecars.guard.serving import Served, Serving, build
from llmops_sidecars.openai.answers import Delta, Usage
from llmops_sidecars.openai.embeddings import (
    Embedding,
    EmbeddingsResponse,
    EmbeddingsUsage,
    encode_embeddings,
    encoded_vector,
)
from llmops_sidecars.openai.events import DONE, STREAM_HEADERS, ChunkWriter
from llmops_sidecars.proxy.asgi import ASGIApp, Receive, Scope, Send, read_body, until_disconnect
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.downstream import Downstream
from llmops_sidecars.proxy.drain import Drain
from llmops_sidecars.proxy.inprocess import AppDownstream
from llmops_sidecars.proxy.tls import Tls
from tests.support.asgi import Answer, call

CHAT = "/v1/chat/completions"
MAIL = "jane.doe@example.com"
SECRET = "AKIAIOSFODNN7EXAMPLE"
WRITER = ChunkWriter("chatcmpl-below", 1_700_000_000, "engine-model")

STRICT = Policy(
    name="strict",
    version="p1",
    input=(PiiRule(), SecretsRule()),
    output=(PiiRule(), PatternsRule((Pattern("project", r"(?i)project\s+x"),))),
    stream=StreamWindow(hold_back_characters=64, hold_back_seconds=0.05),
)
SUPPORT = Template(
    "support",
    "t1",
    (Message("system", "You help customers of {{ company }}."), Message("user", "{{question}}")),
    (Variable("company", default="Acme"), Variable("question", required=True, max_length=100)),
)


@dataclass
class FakeCache:
    """A cache at the wire: answers each chat request with `script`, remembers what it was asked.

    The script's items are sent one by one; an event in it is waited for, an exception ends the answer in its middle.
    """

    script: Sequence[bytes | asyncio.Event | Exception] = ()
    status: int = 200
    headers: Sequence[tuple[bytes, bytes]] = ((b"x-llmops-cache", b"miss"),)
    probe_status: int = 200
    requests: list[dict[str, Any]] = field(default_factory=list)
    received: list[dict[str, str]] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client left before its answer had ended."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.order.append(scope["path"])
        body = await read_body(scope, receive, 1 << 24)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        match scope["path"]:
            case "/v1/chat/completions":
                self.requests.append(msgspec.json.decode(body))
                self.received.append(headers)
                await self._answer(receive, send)
            case "/v1/embeddings":
                self.requests.append(msgspec.json.decode(body))
                self.received.append(headers)
                script = [item for item in self.script if isinstance(item, bytes)]
                await _send(send, self.status, script or [_vectors(msgspec.json.decode(body))])
            case "/commit":
                self.commits.append(headers["x-request-id"])
                await _send(send, 200, [b'{"remembered":true}'])
            case "/probe":
                await _send(send, self.probe_status, [b"{}"])
            case "/metrics":
                await _send(send, 200, [b"llmops_cache_lookups_total 7.0\n"])
            case "/config":
                await _send(send, 200, [b'{"digest":"abc","error":null}'])
            case _:
                await _send(send, 200, [b"{}"])

    async def _answer(self, receive: Receive, send: Send) -> None:
        try:
            await until_disconnect(receive, self._play(send))
        except asyncio.CancelledError:
            self.left.set()
            raise
        except Exception:
            self.left.set()
            raise

    async def _play(self, send: Send) -> None:
        headers = STREAM_HEADERS if self.status == 200 else ((b"content-type", b"application/json"),)
        await send({"type": "http.response.start", "status": self.status, "headers": [*headers, *self.headers]})
        for item in self.script:
            if isinstance(item, asyncio.Event):
                await item.wait()
            elif isinstance(item, Exception):
                raise item
            else:
                await send({"type": "http.response.body", "body": item, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


TALK = "talk"
EVENT = WRITER.text("word " * 400)


@dataclass
class Talker:
    """A cache at the wire: talks without an end to those who ask it to, and says a word to others."""

    sent: list[int] = field(default_factory=list)
    """Bytes of each endless answer."""
    left: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, 1 << 20)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-llmops-cache", b"bypass")]})
        if TALK.encode() not in body:
            await send({"type": "http.response.body", "body": b"".join(said("Hello")), "more_body": False})
            return
        try:
            await until_disconnect(receive, self._talk(send))
        finally:
            self.left += 1

    async def _talk(self, send: Send) -> None:
        place = len(self.sent)
        self.sent.append(0)
        while True:
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
            self.sent[place] += len(EVENT)
            await asyncio.sleep(0)  # others have a turn, where all share one loop


def _vectors(asked: dict[str, Any]) -> bytes:
    """A vector of two numbers for each input, in the form that was asked for: its place, and a half."""
    vectors = [(float(place), 0.5) for place, _ in enumerate(asked["input"])]
    data = tuple(
        Embedding(encoded_vector(vector, asked.get("encoding_format")), place) for place, vector in enumerate(vectors)
    )
    return encode_embeddings(EmbeddingsResponse(data, "engine-model", EmbeddingsUsage(len(vectors), len(vectors))))


async def _send(send: Send, status: int, pieces: list[bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"".join(pieces), "more_body": False})


def said(*texts: str, reason: str = "stop") -> list[bytes]:
    """A whole answer with an event for each text."""
    usage = WRITER.usage(Usage(3, len(texts), 3 + len(texts)))
    return [WRITER.role(), *(WRITER.text(text) for text in texts), WRITER.finish(reason) + usage + DONE]


def delta(change: Delta) -> bytes:
    """An event with anything."""
    return WRITER.delta(change)


def contract(
    *configurations: Configuration, limits: Limits | None = None, access: Access | None = None, **of_one: Any
) -> Contract:
    """A contract for the model `chat`; without configurations, one with `STRICT` and `SUPPORT`."""
    fields: dict[str, Any] = {"policy": STRICT, "templates": (SUPPORT,)} | of_one
    one = Configuration("r1", **fields)
    engine = OpenAIEngine("http://engine", "m")
    return Contract("chat", engine, configurations or (one,), limits or Limits(), access=access or Access())


class Guard:
    """A guard whose contract is a file in a directory of the test's."""

    def __init__(
        self,
        directory: Path,
        below: Downstream,
        drain: Drain | None = None,
        make: Callable[[Contract], Serving] = build,
        tls: Tls | None = None,
    ) -> None:
        self._path = directory / "contract.json"
        self.file: ContractFile[Serving] = ContractFile(self._path, make, beside=files)
        self.app = GuardApp(self.file, below, drain=drain, tls=tls)

    def use(self, used: Contract | bytes) -> None:
        """Replace the file, and look at it."""
        following = self._path.with_suffix(".new")
        following.write_bytes(used if isinstance(used, bytes) else encode(used))
        following.replace(self._path)
        self.file.check()

    async def ask(self, body: object | bytes = None, path: str = CHAT, **headers: str) -> Answer:
        """Send a request, of chat unless another path is given."""
        fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return await call(self.app, "POST", path, body=question() if body is None else body, headers=fields)

    async def admin(self, path: str, method: str = "GET") -> Answer:
        """Ask the administration port."""
        return await call(self.app.admin, method, path)

    async def metric(self, line: str) -> float:
        """The value of a metric, 0 when it is not there."""
        for row in (await self.admin("/metrics")).body.decode().splitlines():
            name, _, value = row.rpartition(" ")
            if name == line:
                return float(value)
        return 0.0


def guarded(
    directory: Path,
    cache: ASGIApp,
    used: Contract | None = None,
    drain: Drain | None = None,
    make: Callable[[Contract], Serving] = build,
) -> Guard:
    """A guard in front of a cache, most often a fake one, in one process."""
    guard = Guard(directory, AppDownstream(cache), drain, make)
    guard.use(used or contract())
    return guard


def with_broken_rules(used: Contract) -> Serving:
    """The contract, with a rule in each direction that cannot run."""
    serving = build(used)
    return replace(serving, served=tuple(_broken(served) for served in serving.served))


def _broken(served: Served) -> Served:
    on_error = served.configuration.policy.on_error
    broken = Rules((Check("broken", _raise, on_error=on_error),))
    return replace(served, policy=replace(served.policy, input=broken, output=broken))


def _raise(_text: str) -> list[Finding]:
    raise ValueError("broken")


def question(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    """A request with one message."""
    return {"model": "chat", "messages": [{"role": "user", "content": text}], **fields}


@contextlib.asynccontextmanager
async def asking(guard: Guard, body: dict[str, Any]) -> AsyncIterator[AsyncIterator[bytes]]:
    """The answer's pieces as they arrive; leaving the block early is a client that leaves."""
    content = msgspec.json.encode(body)
    async with AppDownstream(guard.app).request("POST", CHAT, (), content) as response:
        yield response.stream()
