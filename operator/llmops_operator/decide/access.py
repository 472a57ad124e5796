"""What is said about access: that it is open, and what is wrong with the Secrets and the issuer that it names.

The operator reads no Secret. The guards, which have them mounted, tell what they lack, and here it gets the name that
the spec has for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llmops_operator.api.access import Access
from llmops_operator.world import Invalid, Pod, Report, World

OPEN = "everybody who reaches the Service may ask: give spec.access apiKeys, jwt or tls.clientTenant to change that"


def is_open(world: World) -> bool:
    """Whether everybody may ask; False for a spec that cannot be read."""
    spec = world.deployment.spec
    return not isinstance(spec, Invalid) and _access(world).is_open


def problem(world: World, pods: Iterable[Pod]) -> str | None:
    """The first thing that the guards of these pods lack, with what to do about it."""
    return next(_problems(world, pods), None)


def _problems(world: World, pods: Iterable[Pod]) -> Iterator[str]:
    for pod in pods:
        report = world.guards.get(pod.name)
        for part, reason in report.access if isinstance(report, Report) else ():
            yield f"{_needs(_access(world), part)}; pod {pod.name} says: {reason}"


def _needs(access: Access, part: str) -> str:
    if part == "apiKeys" and access.api_keys is not None:
        return f"Secret {access.api_keys.secret_name} needs a data key for each tenant, with API keys as its lines"
    if part == "tls" and access.tls is not None:
        clients = access.tls.client_ca_secret_name
        authority = f", and Secret {clients} the data key ca.crt" if clients else ""
        return f"Secret {access.tls.secret_name} needs the data keys tls.crt and tls.key{authority}"
    if part == "jwt" and access.jwt is not None:
        ours = access.jwt.ca_secret_name
        vouched = f", and Secret {ours} the data key ca.crt that vouches for it" if ours else ""
        return f"the keys of the issuer {access.jwt.issuer} have to be reachable{vouched}"
    return f"spec.access.{part} has to be corrected"


def _access(world: World) -> Access:
    spec = world.deployment.spec
    return Access() if isinstance(spec, Invalid) else spec.access or Access()
