"""What is said about the shared cache: why pods do without it.

The operator reads no Secret and asks no store. The caches tell what is in their way, and here it gets the name that the
spec has for it.
"""

from __future__ import annotations

from llmops_operator.api.llmdeployment import Valkey
from llmops_operator.desired import shared
from llmops_operator.world import Invalid, Report, World


def problem(world: World) -> str | None:
    """The first thing that keeps a pod from its store, with what to do about it."""
    spec = world.deployment.spec
    valkey = None if isinstance(spec, Invalid) else shared.store(spec)
    if valkey is None:
        return None
    found = ((pod.name, world.guards.get(pod.name)) for pod in world.pods if not pod.terminating)
    said = ((name, report.shared_cache) for name, report in found if isinstance(report, Report))
    return next((_told(valkey, name, reason) for name, reason in said if reason is not None), None)


def _told(valkey: Valkey, pod: str, reason: str) -> str:
    message = f"pod {pod} does without {valkey.url}: {reason}"
    key, authority = valkey.credentials_secret_ref, valkey.ca_secret_name
    if key is not None and "password" in reason:
        return f"{message}; Secret {key.name} needs the data key {key.key} with the user's password"
    if authority is not None and ("authorities" in reason or "certificate" in reason):
        return f"{message}; Secret {authority} needs the data key ca.crt that vouches for it"
    return f"{message}; answers are remembered by each pod alone until it can be used"
