"""What a contract means to the guard: compiled policies, templates by id, and who gets which configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmops_sidecars.contract import Configuration, Contract, Template
from llmops_sidecars.guard.access.mounts import require_mounts
from llmops_sidecars.guard.neutralising import neutralised_by
from llmops_sidecars.guard.policy import CompiledPolicy, compile_policy
from llmops_sidecars.guard.rules.finding import Find
from llmops_sidecars.prompts.versions import Versions

SHARES = 100


@dataclass(frozen=True)
class Served:
    """One configuration, ready for use."""

    configuration: Configuration
    policy: CompiledPolicy
    templates: Mapping[str, Template]
    versions: Mapping[str, Versions]
    """Every template that is in play, by its id; those of the other configuration can be called by their versions."""
    special_tokens: Find | None = None
    """What finds them in the values of templates, where the policy does not refuse them itself."""


@dataclass(frozen=True)
class Serving:
    """A contract, ready for use."""

    contract: Contract
    served: tuple[Served, ...]


def build(contract: Contract, *, client_certificates: bool = False) -> Serving:
    """Compile a contract; raises ContractError that names the pattern or the file which cannot be used.

    `client_certificates`: whether this process asks clients for theirs.
    """
    require_mounts(contract.access, client_certificates=client_certificates)
    every = [{one.id: one for one in configuration.templates} for configuration in contract.configurations]
    return Serving(contract, tuple(_served(configuration, every) for configuration in contract.configurations))


def choose(serving: Serving, caller: str) -> Served:
    """The configuration for a caller: always the same one while the weights stay, by weight over many callers."""
    if len(serving.served) == 1:
        return serving.served[0]
    share = int.from_bytes(hashlib.sha256(caller.encode()).digest()[:8], "big") % SHARES
    for served in serving.served:
        share -= served.configuration.weight
        if share < 0:
            return served
    return serving.served[-1]


def _served(configuration: Configuration, every: Sequence[Mapping[str, Template]]) -> Served:
    """`every`: the templates of all configurations, of which the first is the stable one."""
    templates = {template.id: template for template in configuration.templates}
    names = {name for some in every for name in some}
    versions = {
        name: Versions(templates.get(name), every[0].get(name), tuple(some[name] for some in every if name in some))
        for name in names
    }
    policy = configuration.policy
    find = neutralised_by(policy) if names else None
    return Served(configuration, compile_policy(policy), templates, versions, find)
