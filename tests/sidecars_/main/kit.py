"""The sidecars as processes of their own, in front of a provider that stands at the wire in the test's process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from llmops_sidecars.contract import (
    Access,
    CacheSettings,
    Configuration,
    Contract,
    Limits,
    OpenAIEngine,
    PiiRule,
    Policy,
    SecretsRule,
    encode,
)
from llmops_sidecars.openai.answers import Usage
from llmops_sidecars.openai.events import DONE, STREAM_HEADERS, ChunkWriter
from llmops_sidecars.proxy.asgi import Receive, Scope, Send, read_body, send_json
from llmops_sidecars.proxy.client import HttpDownstream
from llmops_sidecars.proxy.downstream import DownstreamError, read_response
from tests.support.asgi import eventually, serving

WRITER = ChunkWriter("chatcmpl-provider", 1_700_000_000, "provider-model")
START_SECONDS = 30.0


@dataclass
class Provider:
    """An OpenAI-compatible provider: answers with the last message, word by word. `gate` holds the last word back."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, 1 << 24)
        if scope["path"] == "/v1/models":
            await send_json(send, 200, b'{"object":"list","data":[]}')
            return
        request = msgspec.json.decode(body)
        self.requests.append(request)
        words = [f"{word} " for word in request["messages"][-1]["content"].split()]
        await send({"type": "http.response.start", "status": 200, "headers": list(STREAM_HEADERS)})
        await _write(send, WRITER.role())
        for word in words[:-1]:
            await _write(send, WRITER.text(word))
        await self.gate.wait()
        await _write(send, WRITER.text(words[-1].strip()))
        await _write(send, WRITER.finish("stop") + WRITER.usage(Usage(1, len(words), 1 + len(words))) + DONE)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


def contract(url: str) -> Contract:
    """Personal data is masked both ways, secrets are refused, answers are remembered."""
    policy = Policy("strict", "p1", input=(PiiRule(), SecretsRule()), output=(PiiRule(),))
    one = Configuration("r1", policy=policy, cache=CacheSettings(ttl_seconds=60))
    return Contract("chat", OpenAIEngine(f"{url}/v1", "provider-model"), (one,), Limits())


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Sidecars:
    """Processes under test, and how to reach them."""

    directory: Path
    provider: Provider
    url: str
    port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)
    flags: Sequence[str] = ()
    """Further flags of the guard."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def api(self) -> str:
        """What an OpenAI client calls its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def configure(self, used: Contract | None = None) -> None:
        """Write the contract, as a mounted ConfigMap changes."""
        following = self.directory / "contract.new"
        following.write_bytes(encode(used or contract(self.url)))
        following.replace(self.directory / "contract.json")

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start one of them; its log goes to a file."""
        flags = [f"--contract={self.directory / 'contract.json'}"]
        if command != "serve":
            flags.append(f"--socket={self.directory / 'cache.sock'}")
        if command != "cache":
            flags += ["--host=127.0.0.1", f"--port={self.port}", f"--admin-port={self.admin_port}", *self.flags]
        with (self.directory / f"{command}.log").open("wb") as log:
            self.processes[command] = subprocess.Popen(
                [sys.executable, "-m", "llmops_sidecars", command, *flags], stdout=log, stderr=subprocess.STDOUT
            )
        return self.processes[command]

    def log(self, command: str) -> list[dict[str, Any]]:
        """The lines that a process has written."""
        written = (self.directory / f"{command}.log").read_bytes()
        return [msgspec.json.decode(line) for line in written.splitlines()]

    async def admin(self, path: str) -> tuple[int, bytes]:
        """Ask the administration port; status 0 while nobody listens."""
        http = HttpDownstream(url=f"http://127.0.0.1:{self.admin_port}")
        try:
            async with http.request("GET", path) as response:
                return response.status, await read_response(response, 1 << 24)
        except DownstreamError:
            return 0, b""
        finally:
            await http.close()

    async def ready(self) -> None:
        """Wait until it is."""

        async def is_ready() -> bool:
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended: {(self.directory / f'{name}.log').read_text()}"
            return (await self.admin("/readyz"))[0] == 200

        await eventually(is_ready, START_SECONDS)


@contextlib.asynccontextmanager
async def sidecars(
    directory: Path, *commands: str, access: Access | None = None, flags: Sequence[str] = ()
) -> AsyncIterator[Sidecars]:
    """Start these commands in front of a provider; whatever still runs at the end is killed."""
    provider = Provider()
    async with serving(provider) as url:
        running = Sidecars(directory, provider, url, flags=flags)
        running.configure(msgspec.structs.replace(contract(url), access=access or Access()))
        with _ended(running):
            for command in commands:
                running.start(command)
            await running.ready()
            yield running


@contextlib.contextmanager
def _ended(running: Sidecars) -> Iterator[None]:
    try:
        yield
    finally:
        running.provider.gate.set()
        for process in running.processes.values():
            process.kill()
            process.wait()
