"""The real Triton as the upstream: this project in front of it, over gRPC and over HTTP, beside asking it directly.

Only this project and Triton's own generate extension are measured: the others speak OpenAI's API to their upstream, and
what would translate for them would be measured too. What is comparable is the time to the first token: the model
writes answers of its own, at its own pace.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from bench.gateway.contenders import EVERYTHING, NOTHING, Contender, Place, ours
from bench.gateway.measure import Bench, result, started
from bench.gateway.plan import Answers, Load, scaled
from bench.gateway.processes import Cores
from bench.gateway.summary import MEDIAN, spread
from llmops_sidecars.contract import Engine, TritonGrpcEngine, TritonHttpEngine
from tests.support.triton import TritonServer

DIRECT = "Triton's own HTTP, no gateway"
MODEL = "tensorrt_llm"
TOKEN_MS = 5
LOAD = Load("triton", "open", Answers(0, 0, 1), seconds=4, rate=5, streams=True)
"""The answers are the model's business."""


def measure(bench: Bench, place: Place, size: tuple[int, float], say: Callable[[str], None]) -> dict[str, Any]:
    """Figures of each way to a first token: milliseconds in all and added; raises what stops Triton from starting."""
    count, seconds = size
    load = scaled(LOAD, seconds)
    say("starting Triton")
    with on_core(bench.cores), TritonServer({"cpu_model": {"iteration_ms": TOKEN_MS}}) as server:
        measured: dict[str, list[float]] = {}
        direct = Contender("direct", DIRECT, server.http)
        grpc, http = TritonGrpcEngine(server.grpc), TritonHttpEngine(server.http)
        for number in range(1, count + 1):
            say(f"round {number} of {count}: Triton")
            own = _first_token(bench, direct, load, ["-form", "triton", "-model", MODEL])
            measured.setdefault(DIRECT, []).append(own)
            for name, engine, features in (
                ("this project over gRPC", grpc, NOTHING),
                ("this project over HTTP", http, NOTHING),
                ("this project over gRPC", grpc, EVERYTHING),
            ):
                through = _through(bench, place, engine, features, load)
                measured.setdefault(f"{name}, {features}", []).append(through)
    return summarised(measured)


def summarised(measured: dict[str, list[float]]) -> dict[str, Any]:
    """Medians over the rounds; added is to asking directly in the same round."""
    direct = measured[DIRECT]
    return {
        name: {
            "first_token_ms": spread(values),
            "added_ms": spread(mine - way for mine, way in zip(values, direct, strict=True)),
        }
        for name, values in measured.items()
    }


@contextmanager
def on_core(at: Cores) -> Iterator[None]:
    """What is started meanwhile runs where the upstream does."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {at.upstream})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _through(bench: Bench, place: Place, engine: Engine, features: str, load: Load) -> float:
    contender = ours.pods(place, ours.engine_contract(engine, features), features, "triton")
    with started(contender, bench.cores.contender, place.directory):
        return _first_token(bench, contender, load)


def _first_token(bench: Bench, contender: Contender, load: Load, further: Sequence[str] = ()) -> float:
    figures = result(bench.generate(contender, replace(load, warm=1.0), further))
    return float(figures["first"]["quantiles"][MEDIAN]) / 1000
