"""A pod under all kinds of traffic for a minute: its memory stands still, and nothing is left over."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import pytest

from e2e.kit import swarm
from e2e.kit.environment import Environment
from e2e.kit.figures import guard_total
from e2e.kit.kube import Kube, is_true
from e2e.kit.samples import pattern, policy
from e2e.kit.service import reach
from e2e.kit.wait import until

pytestmark = pytest.mark.cluster
NAME, MODEL, MIB = "soak", "support-chat", 1024 * 1024
WARM_SECONDS, SECONDS, SAMPLE_SECONDS = 30.0, 60.0, 1.0
MOST_MIB_A_MINUTE = 4.0
"""Of either process. A kilobyte that each request leaves behind would be ten times as much."""

PROCESSES = ("guard", "cache")
REMEMBERED: dict[str, str] = {}
TRAFFIC: dict[str, tuple[bytes, dict[str, str], int]] = {
    "whole": (swarm.request(MODEL, "How is the weather?"), dict(swarm.NO_STORE), 3),
    "streamed": (swarm.request(MODEL, "Tell me more.", stream=True), dict(swarm.NO_STORE), 3),
    "remembered": (swarm.request(MODEL, "What is remembered?", temperature=0), REMEMBERED, 2),
    "masked": (swarm.request(MODEL, "Write to jane.doe@example.com.", stream=True), REMEMBERED, 1),
    "blocked": (swarm.request(MODEL, "It is AKIAIOSFODNN7EXAMPLE."), REMEMBERED, 1),
    "wrong": (b"{", REMEMBERED, 1),
}
"""What is asked, with which headers, by how many clients at once."""

LEFT = swarm.request(MODEL, "A long answer, please.", stream=True, max_tokens=4000)


@pytest.fixture(scope="module")
def url(kube: Kube, environment: Environment, namespace: str) -> Iterator[str]:
    rules: list[dict[str, Any]] = [{"pii": {}}, {"secrets": {}}, {"injection": {}}, pattern("planted", "nowhere")]
    kube.apply(policy(namespace, input=rules, output=[{"pii": {}}, {"secrets": {"action": "Mask"}}]))
    spec = {
        "model": {"name": MODEL},
        "engine": {"benchmark": {"tokens": 40, "firstTokenMilliseconds": 5, "interTokenMilliseconds": 1}},
        "guard": {"policyRef": {"name": "strict"}},
        "cache": {"exact": {"ttl": "10s"}},
    }
    metadata = {"name": NAME, "namespace": namespace}
    kube.apply({"apiVersion": "llmops.dev/v1alpha1", "kind": "LLMDeployment", "metadata": metadata, "spec": spec})
    until("Ready", lambda: is_true(kube.get("LLMDeployment", NAME, namespace), "Ready"), 60)
    with reach(environment, namespace, NAME) as found:
        parts = urlsplit(found)
        yield f"http://{socket.gethostbyname(parts.hostname or '')}:{parts.port}"
    kube.delete("LLMDeployment", NAME, namespace)


async def traffic(url: str, seconds: float) -> Counter[str]:
    """All of it at once; gives how many requests of each kind had which outcome."""

    async def leaving() -> int:
        end, begun = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            begun += await swarm.leave_early(url, LEFT, count=10, at_once=2)
        return begun

    asking = [swarm.ask_closely(url, body, clients, seconds, headers) for body, headers, clients in TRAFFIC.values()]
    left, tallies = await asyncio.gather(leaving(), asyncio.gather(*asking))
    outcomes = Counter({"left": left})
    for kind, tally in zip(TRAFFIC, tallies, strict=True):
        outcomes.update({f"{kind} {outcome}": count for outcome, count in tally.outcomes.items()})
    return outcomes


def memory(kube: Kube, namespace: str, process: str) -> float:
    """In MiB."""
    return guard_total(kube, namespace, NAME, f"llmops_{process}_process_resident_memory_bytes") / MIB


async def sampled(kube: Kube, namespace: str, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """The memory of each process, now and then."""
    began, samples = time.monotonic(), {process: list[tuple[float, float]]() for process in PROCESSES}
    while (now := time.monotonic() - began) < seconds:
        for process in PROCESSES:
            samples[process].append((now, await asyncio.to_thread(memory, kube, namespace, process)))
        await asyncio.sleep(SAMPLE_SECONDS)
    return samples


def slope(samples: list[tuple[float, float]]) -> float:
    """MiB a minute: the median of the slopes between all samples (Theil and Sen), since one arena more is no growth."""
    pairs = combinations(samples, 2)
    return median((later - sooner) / (after - before) for (before, sooner), (after, later) in pairs) * 60


def test_memory_stands_still_under_all_kinds_of_traffic(kube: Kube, namespace: str, url: str) -> None:
    async def soaked() -> tuple[Counter[str], dict[str, list[tuple[float, float]]]]:
        await traffic(url, WARM_SECONDS)
        return await asyncio.gather(traffic(url, SECONDS), sampled(kube, namespace, SECONDS))

    outcomes, samples = asyncio.run(soaked())
    growth = {process: slope(found) for process, found in samples.items()}
    said = ", ".join(
        f"{process} {samples[process][-1][1]:.0f} MiB, {growth[process]:+.2f} a minute" for process in PROCESSES
    )
    print(f"{sum(outcomes.values())} requests; {said}; {dict(outcomes)}")
    assert set(outcomes) == {
        *("left", "whole 200", "streamed 200", "remembered 200", "masked 200", "blocked 400", "wrong 400"),
    }
    assert sum(outcomes.values()) > 1000
    assert all(one < MOST_MIB_A_MINUTE for one in growth.values()), growth
    for sample in ("llmops_requests_in_flight", "llmops_requests_queued", "llmops_engine_in_flight"):
        until(f"{sample} is 0", lambda sample=sample: guard_total(kube, namespace, NAME, sample) == 0, 10)  # type: ignore[misc]
