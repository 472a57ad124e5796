"""All children of one LLMDeployment, in the order in which they are applied."""

from __future__ import annotations

from typing import Any

from llmops_operator import names
from llmops_operator.desired import configuration, network, workload
from llmops_operator.desired.facts import Facts
from llmops_operator.desired.objects import sealed

Document = dict[str, Any]


def children(facts: Facts) -> tuple[Document, ...]:
    """Every wanted object: what the pods need to start stands before the Deployment."""
    wanted = (
        workload.service_account(facts),
        configuration.sidecar_configuration(facts),
        configuration.engine_configuration(facts),
        network.network_policy(facts),
        network.service(facts),
        workload.deployment(facts),
        workload.disruption_budget(facts),
    )
    return tuple(sealed(document) for document in wanted if document is not None)


def planned_names(deployment: str) -> tuple[tuple[str, str], ...]:
    """Kind and name of every object that a child may ever be: what is looked for, whoever owns it."""
    return (
        ("ServiceAccount", names.child(deployment)),
        ("ConfigMap", names.sidecar_configuration(deployment)),
        ("ConfigMap", names.engine_configuration(deployment)),
        ("NetworkPolicy", names.child(deployment)),
        ("Service", names.child(deployment)),
        ("Deployment", names.child(deployment)),
        ("PodDisruptionBudget", names.child(deployment)),
    )
