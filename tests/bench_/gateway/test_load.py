"""The generator against the upstream: what is known to be slow is measured as being so slow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.gateway import summary
from bench.gateway.contenders import Contender
from bench.gateway.install import load_program
from bench.gateway.measure import Bench
from bench.gateway.plan import Answers
from bench.gateway.processes import Cores, Program, Running, free_ports, until_ready

LEAST, TENTH, MEDIAN, SLOWEST = 0, 1, summary.MEDIAN, summary.SLOWEST
"""Places in the list of quantiles. A busy machine delays many, but hardly nine in ten."""

LATE_MS = 12.0
"""How much a busy machine may add."""

TRIES = 5
"""Measurements, of which one must be in a quiet moment."""


@dataclass(frozen=True)
class Upstream:
    bench: Bench
    running: Running

    @property
    def address(self) -> str:
        return self.bench.upstream

    def answer(self, first: float, inter: float = 0, tokens: int = 8) -> None:
        self.bench.answer(Answers(first, inter, tokens))

    def stats(self) -> dict[str, Any]:
        return self.bench.seen()

    def start(self, mode: str, *flags: str) -> subprocess.Popen[str]:
        command = [str(self.bench.program), mode, "-url", f"{self.address}/v1", *flags]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def load(self, mode: str, *flags: str) -> dict[str, Any]:
        out, _ = self.start(mode, *flags).communicate(timeout=60)
        return dict(json.loads(out))


@pytest.fixture(scope="module")
def program() -> Path:
    return load_program()


@pytest.fixture
def upstream(program: Path, tmp_path: Path) -> Iterator[Upstream]:
    (port,) = free_ports(1)
    core = min(os.sched_getaffinity(0))
    running = Running(Program("upstream", [str(program), "upstream", "-listen", f"127.0.0.1:{port}"]), core, tmp_path)
    try:
        until_ready(f"http://127.0.0.1:{port}/stats", [running], 10)
        yield Upstream(Bench(program, Cores(core, core, core), f"http://127.0.0.1:{port}"), running)
    finally:
        running.stop()


def milliseconds(figures: dict[str, Any], what: str, place: int = MEDIAN) -> float:
    return float(figures[what]["quantiles"][place]) / 1000


def test_the_delay_of_a_whole_answer_is_measured_as_it_is(upstream: Upstream) -> None:
    upstream.answer(first=50)
    figures = upstream.load("open", "-rate", "50", "-seconds", "1s", "-warm", "0.2s")
    assert figures["scheduled"] == figures["answered"] == 50
    assert milliseconds(figures, "latency", LEAST) >= 50
    assert milliseconds(figures, "latency", TENTH) <= 50 + LATE_MS


def test_the_delays_of_a_stream_are_measured_as_they_are(upstream: Upstream) -> None:
    upstream.answer(first=60, inter=30, tokens=6)
    figures = upstream.load("open", "-stream", "-rate", "20", "-seconds", "1s", "-warm", "0.2s")
    assert figures["chunks"] == 6 * figures["answered"]
    assert milliseconds(figures, "first", LEAST) >= 60
    assert milliseconds(figures, "first", TENTH) <= 60 + LATE_MS
    assert milliseconds(figures, "gap") == pytest.approx(30, abs=LATE_MS)
    assert milliseconds(figures, "latency", LEAST) >= 60 + 5 * 30
    assert milliseconds(figures, "latency", TENTH) <= 60 + 5 * 30 + LATE_MS


def test_an_injected_delay_is_what_is_reported_as_added(upstream: Upstream) -> None:
    added = (_added(upstream) for _ in range(TRIES))
    assert any(one == pytest.approx(60, abs=LATE_MS) for one in added)


def _added(upstream: Upstream) -> float:
    """The median that 60 ms more at the upstream are reported to add, in milliseconds."""
    entries = []
    for name, delay in (("direct", 10), ("slow", 70)):
        upstream.answer(first=delay)
        figures = upstream.load("open", "-rate", "100", "-seconds", "1s", "-warm", "0.2s")
        entries.append({"round": 1, "contender": name, "load": "100/s", "figures": figures, "cpu": 0.0})
    contender = Contender("slow", "slow", "")
    added = summary.figures([contender], entries, {})["slow"]["added"]["100/s"]
    return float(added["p50_ms"]["median"])


def test_requests_that_could_not_be_answered_in_a_stall_are_late_from_their_own_time(upstream: Upstream) -> None:
    """No coordinated omission: a stall of half a second at 100/s is fifty late answers, not one."""
    upstream.answer(first=1)
    generator = upstream.start("open", "-rate", "100", "-seconds", "2s", "-warm", "0s")
    while upstream.stats()["requests"] < 20:
        pass
    os.kill(upstream.running.pid, signal.SIGSTOP)
    time.sleep(0.5)  # the stall itself
    os.kill(upstream.running.pid, signal.SIGCONT)
    figures = json.loads(generator.communicate(timeout=30)[0])
    assert figures["answered"] == 200
    assert milliseconds(figures, "latency", SLOWEST) >= 450
    assert milliseconds(figures, "latency", 5) >= 150, "a tenth of all requests fell into the stall's first 0.35 s"


def test_requests_are_sent_in_time_whatever_comes_back(upstream: Upstream) -> None:
    upstream.answer(first=400)
    figures = upstream.load("open", "-rate", "100", "-seconds", "1s", "-warm", "0s")
    assert figures["answered"] == 100
    assert milliseconds(figures, "behind") < LATE_MS


def test_a_gateway_that_cannot_keep_up_is_given_up_and_told_so(upstream: Upstream) -> None:
    upstream.answer(first=2000)
    figures = upstream.load("open", "-rate", "200", "-seconds", "3s", "-warm", "0s", "-unanswered", "40")
    assert figures["overloaded"]
    assert figures["scheduled"] < 100


def test_a_closed_load_counts_what_is_answered_within_its_time(upstream: Upstream) -> None:
    upstream.answer(first=20)
    figures = upstream.load("closed", "-connections", "4", "-seconds", "1s", "-warm", "0.2s")
    most = 4 * 1000 / 20
    assert most / 2 <= figures["answered"] <= most + 4


def test_a_closed_load_of_streams_counts_what_came_of_unfinished_ones_too(upstream: Upstream) -> None:
    upstream.answer(first=1, inter=20, tokens=100)
    figures = upstream.load("closed", "-stream", "-connections", "2", "-seconds", "1s", "-warm", "0.2s")
    assert figures["answered"] == 0
    of_one_token = 5.3
    assert figures["received"] == pytest.approx(2 * 50 * of_one_token, rel=0.3)


def test_leaving_a_stream_is_timed_until_the_upstream_knows(upstream: Upstream) -> None:
    upstream.answer(first=5, inter=5, tokens=400)
    figures = upstream.load("abort", "-count", "3", "-upstream", upstream.address)
    assert figures["answered"] == 3
    assert milliseconds(figures, "latency", SLOWEST) < 50
    assert len(upstream.stats()["aborts"]) == 3


def test_failures_are_counted_and_are_no_latencies(upstream: Upstream) -> None:
    upstream.running.stop()
    figures = upstream.load("open", "-rate", "50", "-seconds", "1s", "-warm", "0s")
    assert figures["failures"] == {"connection": 50}
    assert figures["latency"]["count"] == 0


def test_all_prompts_differ_and_no_cache_can_answer(upstream: Upstream) -> None:
    """Read off the generator's own requests, by a server that keeps them."""
    import http.server
    import threading

    bodies: list[bytes] = []

    class Keeper(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            content = b'{"choices": [{"message": {"content": "words"}}]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keeper) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        command = [str(upstream.bench.program), "open", "-url", url, "-rate", "50", "-seconds", "1s", "-warm", "0s"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=30)
        server.shutdown()
    assert json.loads(done.stdout)["characters"] == 50 * len("words")
    assert len({json.loads(body)["messages"][1]["content"] for body in bodies}) == 50
