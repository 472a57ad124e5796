"""How long from `kubectl apply` until kubectl shows an LLMDeployment Ready, the images being on the node.

Each round applies a new LLMDeployment on the CPU engine, waits until it is Ready, and deletes it before the next.
"""

from __future__ import annotations

import json
import secrets
import time

from bench.report import Goal, median, write
from e2e.kit.environment import Environment
from e2e.kit.kube import Kube, is_true
from e2e.kit.samples import deployment
from e2e.kit.wait import until

ROUNDS = 10
GOAL_SECONDS = 10


def measure(kube: Kube, environment: Environment) -> None:
    """Run the rounds and write the result."""
    with kube.namespace(f"bench-{secrets.token_hex(3)}") as namespace:
        rounds = [_round(kube, environment, namespace, number) for number in range(ROUNDS)]
    p50 = median([one["ready_seconds"] for one in rounds])
    goal = Goal("apply to Ready, p50 of 10", p50, "s", f"<= {GOAL_SECONDS}")
    write("apply-to-ready", {"rounds": rounds}, [goal])


def _round(kube: Kube, environment: Environment, namespace: str, number: int) -> dict[str, float]:
    name = f"chat-{number}"
    document = json.dumps(deployment(namespace, environment.images, name))
    start = time.monotonic()
    kube.kubectl("apply", "-f", "-", stdin=document)
    applied = time.monotonic()
    until("Ready", lambda: is_true(kube.get("LLMDeployment", name, namespace), "Ready"), 60)
    ready = time.monotonic()
    kube.delete("LLMDeployment", name, namespace)
    until("no pods", lambda: not kube.list("Pod", namespace, f"app.kubernetes.io/instance={name}"), 90)
    return {"apply_seconds": round(applied - start, 3), "ready_seconds": round(ready - start, 3)}
