"""A real pod under pressure: more than it can take, and clients that do not read, that leave or that never end.

The engine is the one that answers by itself: what is measured is the path in front of an engine.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from e2e.kit import swarm
from e2e.kit.environment import Environment
from e2e.kit.figures import guard_total
from e2e.kit.kube import Document, Kube, is_true
from e2e.kit.samples import pattern, policy
from e2e.kit.service import reach
from e2e.kit.wait import until

pytestmark = pytest.mark.cluster
NAME = "chat"
MODEL = "support-chat"
SECRET = "AKIAIOSFODNN7EXAMPLE"
PLANTED = "planted-9f27c1-secret"
ENGINE = {"benchmark": {"tokens": 4000, "firstTokenMilliseconds": 5, "interTokenMilliseconds": 5}}
LIMITS = {"concurrentRequests": 3000, "queuedRequests": 64}
SHORT = swarm.request(MODEL, "How is the weather at the harbour?", max_tokens=4)
UNREAD = swarm.request(MODEL, "Tell me of the harbour.", max_tokens=20, stream=True)
MIDDLE = swarm.request(MODEL, "How was the weather at the harbour?", max_tokens=40)
SLOTS, SECONDS = 16, 8
LONG = swarm.request(MODEL, "Tell me all about the harbour.", max_tokens=4000, stream=True)
MIB = 1024 * 1024


def deployed(namespace: str, **spec: object) -> Document:
    return {
        "apiVersion": "llmops.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "model": {"name": MODEL},
            "engine": ENGINE,
            "guard": {"policyRef": {"name": "strict"}},
            "limits": LIMITS,
            **spec,
        },
    }


@pytest.fixture(scope="module")
def url(kube: Kube, environment: Environment, namespace: str) -> Iterator[str]:
    rules = [{"pii": {}}, {"secrets": {}}, pattern("planted", PLANTED)]
    kube.apply(policy(namespace, input=rules, output=[{"pii": {}}, {"secrets": {"action": "Mask"}}]))
    kube.apply(deployed(namespace))
    until("Ready", lambda: is_true(kube.get("LLMDeployment", NAME, namespace), "Ready"), 60)
    with reach(environment, namespace, NAME) as found:
        parts = urlsplit(found)
        yield f"http://{socket.gethostbyname(parts.hostname or '')}:{parts.port}"
    kube.delete("LLMDeployment", NAME, namespace)


def in_flight(kube: Kube, namespace: str) -> float:
    return guard_total(kube, namespace, NAME, "llmops_requests_in_flight")


def generating(kube: Kube, namespace: str) -> float:
    return guard_total(kube, namespace, NAME, "llmops_engine_in_flight")


def guard_bytes(kube: Kube, namespace: str, name: str) -> float:
    return guard_total(kube, namespace, name, "llmops_guard_process_resident_memory_bytes")


def quiet(kube: Kube, namespace: str) -> bool:
    """Whether nothing runs: neither at the guard nor at the engine."""
    return in_flight(kube, namespace) == 0 and generating(kube, namespace) == 0


def steadily(url: str) -> swarm.Tally:
    return asyncio.run(swarm.ask_steadily(url, SHORT, count=300, rate=30))


def test_slow_readers_hold_nobody_else_up(kube: Kube, namespace: str, url: str) -> None:
    before = steadily(url)

    async def beside_slow_readers() -> swarm.Tally:
        async with swarm.slow_readers(url, UNREAD, 2000):
            await asyncio.to_thread(until, "they have their answers", lambda: quiet(kube, namespace), 60)
            return await swarm.ask_steadily(url, SHORT, count=300, rate=30)

    during = asyncio.run(beside_slow_readers())
    print(f"p99 {before.quantile(0.99) * 1000:.1f} ms, with 2,000 slow readers {during.quantile(0.99) * 1000:.1f} ms")
    assert during.outcomes == {"200": 300}
    until("all of them are let go", lambda: quiet(kube, namespace), 5)


def test_the_engine_is_told_of_clients_that_leave(kube: Kube, namespace: str, url: str) -> None:
    memory = guard_bytes(kube, namespace, NAME)
    begun = asyncio.run(swarm.leave_early(url, LONG, count=10_000, at_once=100))
    left = time.monotonic()
    until("nothing runs any more", lambda: quiet(kube, namespace), 10)
    print(f"{begun} streams left early; quiet {time.monotonic() - left:.2f} s after the last; ", end="")
    print(f"guard {memory / MIB:.0f} MiB before, {guard_bytes(kube, namespace, NAME) / MIB:.0f} MiB after")
    assert begun > 9_900
    assert guard_bytes(kube, namespace, NAME) < memory + 64 * MIB
    assert steadily(url).outcomes == {"200": 300}


def test_ten_times_too_much_is_refused_and_the_rest_served(kube: Kube, namespace: str, url: str) -> None:
    kube.apply(deployed(namespace, limits={"concurrentRequests": SLOTS, "queuedRequests": SLOTS}))
    until("the smaller limits are in use", lambda: refuses_a_crowd(url), 20)
    peak = asyncio.run(swarm.ask_closely(url, MIDDLE, clients=SLOTS, seconds=SECONDS))
    rate = 10 * served(peak) / SECONDS
    overload = asyncio.run(swarm.ask_steadily(url, MIDDLE, count=int(rate * SECONDS), rate=rate))
    print(f"{served(peak) / SECONDS:.0f}/s at the peak, {served(overload) / SECONDS:.0f}/s of {rate:.0f}/s; ", end="")
    print(f"p99 {overload.quantile(0.99) * 1000:.0f} ms; {dict(overload.outcomes)}")
    assert set(overload.outcomes) <= {"200", "429"}
    assert served(overload) >= 0.75 * served(peak)
    kube.apply(deployed(namespace))
    until("nothing is left", lambda: quiet(kube, namespace), 10)


def refuses_a_crowd(url: str) -> bool:
    return asyncio.run(swarm.ask_closely(url, SHORT, clients=200, seconds=0.5)).outcomes["429"] > 0


def served(tally: swarm.Tally) -> int:
    return tally.outcomes["200"]


def test_requests_that_never_end_are_cut_and_hold_nobody_up(url: str) -> None:
    async def beside_slow_senders() -> tuple[swarm.Tally, int]:
        async with swarm.slow_senders(url, 200) as connections:
            tally = await swarm.ask_steadily(url, SHORT, count=600, rate=30)
            return tally, sum(writer.is_closing() or writer.transport.is_closing() for writer in connections)

    tally, cut = asyncio.run(beside_slow_senders())
    print(f"{cut} of 200 connections cut; p99 beside them {tally.quantile(0.99) * 1000:.1f} ms")
    assert tally.outcomes == {"200": 600}
    assert cut == 200


BOMBS = {
    "deep": b'{"model":"support-chat","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "many messages": swarm.request(MODEL, "x", messages=[{"role": "user", "content": "x"}] * 20_000),
    "many stops": swarm.request(MODEL, "x", stop=["x"] * 50_000),
    "many answers": swarm.request(MODEL, "x", n=10_000_000),
    "many tokens": swarm.request(MODEL, "x", max_tokens=10**12),
    "deep schema": swarm.request(MODEL, "x", response_format=json.loads('{"a":' * 200 + "1" + "}" * 200)),
    "large": b"x" * (2 * MIB),
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_at_once(url: str, body: bytes) -> None:
    async def thrown() -> swarm.Tally:
        tally = swarm.Tally()
        async with swarm.session() as client:
            for _ in range(10):
                await swarm.ask(client, url, body, tally)
        return tally

    tally = asyncio.run(thrown())
    print(f"refused within {tally.median * 1000:.1f} ms: {dict(tally.outcomes)}")
    assert not tally.outcomes["200"]
    assert set(tally.outcomes) <= {"400", "413", "ServerDisconnectedError", "ClientOSError", "ConnectionResetError"}


def test_a_policy_changes_under_load_without_a_gap(kube: Kube, namespace: str, url: str) -> None:
    """A rule that every policy has refuses every request that it must, whichever policy serves it."""
    forbidden = swarm.request(MODEL, f"The word is {PLANTED}.", max_tokens=4)

    async def changes() -> None:
        for number in range(8):
            rules = [pattern("planted", PLANTED), pattern(f"other-{number}", f"word{number}")]
            broken = [*rules, {"pii": {"entities": ["NoSuchEntity"]}}]
            await asyncio.to_thread(kube.apply, policy(namespace, input=rules))
            if number % 2:
                with pytest.raises(Exception, match=r"NoSuchEntity|Unsupported value"):
                    await asyncio.to_thread(kube.apply, policy(namespace, input=broken))
            await asyncio.sleep(0.5)

    tally = asyncio.run(swarm.during(lambda: swarm.ask_steadily(url, forbidden, count=400, rate=50), changes))
    assert tally.outcomes == {"400": 400}


def test_a_planted_secret_is_written_nowhere(kube: Kube, namespace: str, url: str) -> None:
    for text in (PLANTED, SECRET, f"mail {PLANTED}@example.com"):
        asyncio.run(swarm.ask_steadily(url, swarm.request(MODEL, f"Say {text}", max_tokens=4), count=3, rate=30))
    written = kube.kubectl("logs", "--namespace", namespace, f"deployment/{NAME}", "--all-containers", "--tail=-1")
    written += kube.kubectl("logs", "--namespace", "llmops-system", "deployment/llmops-operator", "--tail=-1")
    for pod in kube.list("Pod", namespace, f"app.kubernetes.io/instance={NAME}"):
        written += kube.raw(f"api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}:9090/proxy/metrics")
    written += json.dumps(kube.list("Event", namespace)) + json.dumps(kube.get("LLMDeployment", NAME, namespace))
    assert PLANTED not in written
    assert SECRET not in written
