"""Many clients at once, in one event loop: well-behaved ones to be measured, and those that make trouble beside them.

All of it goes to the service of the test's own pods, bounded in count and time.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

CHAT = "/v1/chat/completions"
SMALL_BUFFER = 4096
PAUSE_SECONDS = 0.05
NO_STORE: Mapping[str, str] = {"cache-control": "no-store"}


@dataclass
class Tally:
    """What became of requests: seconds of those that were answered, counts by status or by what went wrong."""

    seconds: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        """The time within which that share was answered; 0 when nothing was."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0

    @property
    def median(self) -> float:
        """The time of the middle one."""
        return statistics.median(self.seconds) if self.seconds else 0.0


def request(model: str, text: str, **fields: object) -> bytes:
    """A chat request's body."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **fields}).encode()


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client without a bound on connections."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as opened:
        yield opened


async def ask(
    client: aiohttp.ClientSession, url: str, body: bytes, tally: Tally, headers: Mapping[str, str] = NO_STORE
) -> None:
    """One request and its whole answer."""
    started = time.monotonic()
    try:
        async with client.post(url + CHAT, data=io.BytesIO(body), headers=headers) as answer:
            await answer.read()
            outcome = str(answer.status)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        outcome = type(error).__name__
    else:
        tally.seconds.append(time.monotonic() - started)
    tally.outcomes[outcome] += 1


async def ask_steadily(url: str, body: bytes, count: int, rate: float) -> Tally:
    """So many requests at an even rate per second, whether or not the earlier ones have been answered."""
    tally = Tally()
    async with session() as client, asyncio.TaskGroup() as tasks:
        start = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(start + number / rate - time.monotonic(), 0))
            tasks.create_task(ask(client, url, body, tally))
    return tally


async def ask_closely(
    url: str, body: bytes, clients: int, seconds: float, headers: Mapping[str, str] = NO_STORE
) -> Tally:
    """So many clients, each asking again as soon as it is answered; one that is refused waits a moment."""
    tally, end = Tally(), time.monotonic() + seconds

    async def one(client: aiohttp.ClientSession) -> None:
        while time.monotonic() < end:
            refused = tally.outcomes["429"]
            await ask(client, url, body, tally, headers)
            if tally.outcomes["429"] > refused:
                await asyncio.sleep(PAUSE_SECONDS)

    async with session() as client:
        await asyncio.gather(*(one(client) for _ in range(clients)))
    return tally


async def leave_early(url: str, body: bytes, count: int, at_once: int) -> int:
    """Begin streams and leave each at its first byte; gives how many had begun."""
    slots, begun = asyncio.Semaphore(at_once), 0

    async def one() -> None:
        nonlocal begun
        async with slots:
            reader, writer = await _connect(url)
            writer.write(_head(url, body))
            first = await reader.read(1)
            begun += bool(first)
            writer.transport.abort()

    await asyncio.gather(*(one() for _ in range(count)))
    return begun


@asynccontextmanager
async def slow_readers(url: str, body: bytes, count: int) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """So many clients that ask for a stream and then read nothing of it."""
    connections: list[asyncio.StreamWriter] = []
    slots = asyncio.Semaphore(64)

    async def one() -> None:
        async with slots:
            _, writer = await _connect(url, small=True)
            connections.append(writer)
            writer.write(_head(url, body))
            await writer.drain()

    await asyncio.gather(*(one() for _ in range(count)))
    try:
        yield connections
    finally:
        for writer in connections:
            writer.transport.abort()


@asynccontextmanager
async def slow_senders(url: str, count: int) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """So many clients that send the head of a request letter by letter, and never end it."""
    connections = [(await _connect(url))[1] for _ in range(count)]

    async def trickle() -> None:
        for letter in f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-filler: {'y' * 10_000}".encode():
            for writer in connections:
                if not writer.is_closing():
                    writer.write(bytes([letter]))
            await asyncio.sleep(PAUSE_SECONDS)

    trickling = asyncio.create_task(trickle())
    try:
        yield connections
    finally:
        trickling.cancel()
        for writer in connections:
            writer.transport.abort()


async def during(work: Callable[[], Awaitable[Tally]], beside: Callable[[], Awaitable[object]]) -> Tally:
    """The tally of some work while something else goes on, which has ended too."""
    other = asyncio.ensure_future(beside())
    tally = await work()
    await other
    return tally


async def _connect(url: str, *, small: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    if not small:
        return await asyncio.open_connection(address.hostname, address.port)
    raw = socket.socket(socket.AF_INET)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (address.hostname, address.port))
    return await asyncio.open_connection(sock=raw, limit=SMALL_BUFFER)


def _head(url: str, body: bytes) -> bytes:
    fields = f"host: {urlsplit(url).netloc}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"POST {CHAT} HTTP/1.1\r\n{fields}\r\n\r\n".encode() + body
