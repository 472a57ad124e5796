"""Who may take part: contenders against the real upstream and generator."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.gateway import rounds
from bench.gateway.contenders import Contender
from bench.gateway.install import load_program
from bench.gateway.measure import Bench, upstream
from bench.gateway.plan import Answers, Load
from bench.gateway.processes import Cores, Program


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    available = sorted(os.sched_getaffinity(0))
    with upstream(load_program(), Cores(available[0], available[0], available[-1]), tmp_path) as running:
        yield running


@pytest.fixture
def lossy() -> Iterator[str]:
    """A gateway that answers everything with one word."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            streams = b'"stream":true' in self.rfile.read(int(self.headers["Content-Length"]))
            word = b'{"choices":[{"delta":{"content":"word"}}]}'
            content = b"data: " + word + b"\n\ndata: [DONE]\n\n" if streams else word
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if streams else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_a_gateway_that_fails_or_loses_text_takes_no_part_and_the_others_do(
    bench: Bench, lossy: str, tmp_path: Path
) -> None:
    broken = Program("broken", ["sh", "-c", "echo port is taken; exit 1"])
    contenders = [
        Contender("direct", "direct", f"{bench.upstream}/v1"),
        Contender("broken", "broken", "http://127.0.0.1:9/v1", programs=(broken,), ready="http://127.0.0.1:9/"),
        Contender("lossy", "lossy", lossy),
        Contender("away", "away", f"{bench.upstream}/nowhere"),
    ]
    results = rounds.Results()
    with rounds.entered(bench, contenders, tmp_path, results, lambda _: None) as found:
        assert [one.contender.name for one in found] == ["direct"]
    assert results.missing["broken"] == "broken ended: port is taken"
    assert results.missing["lossy"].startswith("answers have 8.0 characters instead of ")
    assert "status 404" in results.missing["away"]


def test_a_contender_is_frozen_but_while_it_is_measured(bench: Bench, tmp_path: Path) -> None:
    sleeper = Program("sleeper", ["sleep", "100"])
    contender = Contender("x", "x", f"{bench.upstream}/v1", programs=(sleeper,))
    with rounds.entered(bench, [contender], tmp_path, rounds.Results(), lambda _: None) as (one,):
        assert state(one) == "T"
        with one.awake():
            assert state(one) == "S"
        assert state(one) == "T"


def test_a_measurement_has_the_generators_figures_and_the_kernels(bench: Bench, tmp_path: Path) -> None:
    load = Load("x", "open", Answers(5, 0, 4), seconds=1, warm=0.2, rate=50)
    results = rounds.Results()
    with rounds.entered(
        bench, [Contender("direct", "", f"{bench.upstream}/v1")], tmp_path, results, lambda _: None
    ) as (one,):
        rounds.alone(bench, one, 2, load, results)
    (entry,) = results.measurements
    assert (entry["round"], entry["contender"], entry["load"], entry["cpu"]) == (2, "direct", "x", 0.0)
    assert entry["figures"]["answered"] == 50
    assert entry["foreign"] >= 0


def state(one: rounds.Entered) -> str:
    """Waits until the signal has arrived."""
    found = ""
    for _ in range(1000):
        found = Path(f"/proc/{one.running[0].pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        if found != "R":
            break
    return found
