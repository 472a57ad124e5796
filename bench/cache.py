"""How long the cache takes for what it remembers: `python -m bench.cache`, half a minute, no cluster.

A cache process as in a pod, behind its Unix socket and asked one request after the other; its engine makes up text at
once, and its store is a real Redis or Valkey on this machine. An answer has about 1.5 KB. Hits are measured whole, at
the client; of misses, what the cache itself took until it asked the engine, as its Server-Timing tells it. A cache
without a store and one whose store is down are asked in turn, since machines are not equally fast all the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench.report import Goal, write
from llmops_sidecars.contract import BenchmarkEngine, CacheSettings, Configuration, Contract, SharedStore, encode
from llmops_sidecars.proxy.client import SocketDownstream
from llmops_sidecars.proxy.downstream import DownstreamError, read_response
from tests.support.valkey import Server, running

REQUESTS = 2000
TOKENS = 256
LARGE, NO_L1 = 64 * 1024 * 1024, 64
"""Bytes of L1; the second holds no answer at all."""

HEADERS = {"x-llmops-tenant": "t", "x-llmops-revision": "r", "content-type": "application/json"}
TICK = os.sysconf("SC_CLK_TCK")


class Asked:
    """A cache process, and a connection to it."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self._client = SocketDownstream(str(folder / "cache.sock"))
        self._process = process
        self._number = 0

    async def ask(self, question: str) -> tuple[str, float]:
        """What the cache did, and the seconds that it took for that; what was new is committed."""
        self._number += 1
        name = ("x-request-id", f"r{self._number}")
        headers = [(key.encode(), value.encode()) for key, value in (*HEADERS.items(), name)]
        body = msgspec.json.encode({"model": "chat", "messages": [{"role": "user", "content": question}]})
        started = time.perf_counter()
        async with self._client.request("POST", "/v1/chat/completions", headers, body) as response:
            await read_response(response, LARGE)
            outcome, timing = response.headers["x-llmops-cache"], response.headers["server-timing"]
        seconds = time.perf_counter() - started
        if outcome != "miss":
            return outcome, seconds
        async with self._client.request("POST", "/commit", headers) as response:
            await read_response(response, LARGE)
        return outcome, float(timing.partition("dur=")[2]) / 1000

    async def connections(self) -> float:
        """How many it has to the store."""
        async with self._client.request("GET", "/metrics") as response:
            text = (await read_response(response, LARGE)).decode()
        return max(float(line.split()[1]) for line in text.splitlines() if line.startswith("llmops_cache_shared_conn"))

    @property
    def processor_seconds(self) -> float:
        """What the process has taken of a processor so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    async def close(self) -> None:
        """Let go of it."""
        await self._client.close()


def main() -> int:
    """Measure, print, write the results."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        figures = uvloop.run(_measured(server))
    added = figures["miss, L2 down"]["p50_ms"] - figures["miss, no L2"]["p50_ms"]
    goals = [
        Goal("exact hit in memory, p50", figures["hit, L1"]["p50_ms"], "ms", "<= 0.5"),
        Goal("exact hit in the shared store, p50", figures["hit, L2"]["p50_ms"], "ms", "<= 1.5"),
        Goal("a look-up that finds nothing, p50", figures["miss, L2 asked"]["p50_ms"], "ms", "<= 0.5"),
        Goal("what a store that is down adds to a miss, p50", round(added, 3), "ms", "<= 0.02"),
        Goal("a look-up while the store hangs, the slowest", figures["miss, L2 hangs"]["worst_ms"], "ms", "<= 12"),
    ]
    write("cache", {"requests": REQUESTS, "milliseconds": figures}, goals)
    return 0


async def _measured(server: Server) -> dict[str, dict[str, float]]:
    store = SharedStore("localhost", "llmops:bench:", server.port)
    figures = {}
    async with _cache(LARGE, None) as alone, _cache(NO_L1, store) as asked:
        await alone.ask("question 0")
        (figures["hit, L1"],) = await _series("hit", "question 0", alone)
        (figures["miss, L2 asked"],) = await _series("miss", "question {}", asked)
        (figures["hit, L2"],) = await _series("hit-shared", "question {}", asked)
        server.freeze()
        (figures["miss, L2 hangs"],) = await _series("miss", "while it hangs, {}", asked)
        server.thaw()
        server.stop()
        await _until(asked, lambda connections: connections == 0)
        both = await _series("miss", "while it is down, {}", asked, alone)
        figures["miss, L2 down"], figures["miss, no L2"] = both
    return figures


async def _series(outcome: str, question: str, *caches: Asked) -> list[dict[str, float]]:
    """Ask so many questions, each of all caches in turn; raises RuntimeError when many come to another outcome."""
    before = [one.processor_seconds for one in caches]
    answers = [[await one.ask(question.format(number)) for one in caches] for number in range(REQUESTS)]
    processor = [one.processor_seconds - first for one, first in zip(caches, before, strict=True)]
    return [
        _figures(outcome, [row[place] for row in answers], seconds / REQUESTS * 1000)
        for place, seconds in enumerate(processor)
    ]


def _figures(outcome: str, answers: list[tuple[str, float]], processor: float) -> dict[str, float]:
    times = sorted(seconds * 1000 for found, seconds in answers if found == outcome)
    if len(times) < REQUESTS * 0.98:
        raise RuntimeError(f"only {len(times)} of {REQUESTS} came to {outcome}")
    figures = {
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[len(times) * 99 // 100],
        "worst_ms": times[-1],
        "processor_ms": processor,
    }
    rounded = {name: round(value, 3) for name, value in figures.items()}
    print(outcome, rounded, flush=True)
    return rounded


@contextlib.asynccontextmanager
async def _cache(max_bytes: int, store: SharedStore | None) -> AsyncIterator[Asked]:
    settings: dict[str, Any] = {"ttl_seconds": 3600.0, "max_bytes": max_bytes} | ({"shared": store} if store else {})
    contract = Contract("chat", BenchmarkEngine(TOKENS), (Configuration("r", cache=CacheSettings(**settings)),))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "contract.json").write_bytes(encode(contract))
        flags = [f"--contract={folder / 'contract.json'}", f"--socket={folder / 'cache.sock'}"]
        with (folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "llmops_sidecars", "cache", *flags]
            process = subprocess.Popen(command, stdout=log)  # noqa: ASYNC220 - it takes a millisecond, once
        asked = Asked(folder, process)
        try:
            await _until(asked, lambda connections: connections == (4 if store else 0))
            yield asked
        finally:
            await asked.close()
            process.terminate()
            process.wait(10)


async def _until(asked: Asked, holds: Callable[[float], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(DownstreamError):
                if holds(await asked.connections()):
                    return
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    raise SystemExit(main())
