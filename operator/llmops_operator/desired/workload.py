"""The workload: its Deployment, its disruption budget, and the account that its pods run under."""

from __future__ import annotations

from typing import Any

from llmops_operator import names
from llmops_operator.desired import platform
from llmops_operator.desired.facts import Facts
from llmops_operator.desired.objects import annotated, child
from llmops_operator.desired.pod import template

Document = dict[str, Any]

PROGRESS_SECONDS = 3600
"""Until the Deployment calls itself stuck: fetching and loading a large model takes a good part of an hour."""


def deployment(facts: Facts) -> Document:
    """The Deployment.

    A new pod is ready before an old one leaves: capacity never drops. With GPUs that needs a free one for the time of
    the change; when there is none, the status quotes the scheduler and the old pods go on.
    """
    spec = {
        "replicas": facts.spec.replicas,
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": PROGRESS_SECONDS,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "selector": {"matchLabels": names.selector(facts.name)},
        "template": template(facts),
    }
    document = child("apps/v1", "Deployment", names.child(facts.name), facts, spec=spec)
    return annotated(document, **{names.ANNOTATION_PLATFORM: platform.annotation(facts.platform)})


def disruption_budget(facts: Facts) -> Document:
    """One pod at a time; one that does not serve anyway may always be evicted."""
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": names.selector(facts.name)},
    }
    return child("policy/v1", "PodDisruptionBudget", names.child(facts.name), facts, spec=spec)


def service_account(facts: Facts) -> Document:
    """An account without a token: serving pods have nothing to say to the API server.

    Pull secrets stand here and not in the pod template, so that changing them restarts no pod.
    """
    secrets = [{"name": name} for name in facts.settings.image_pull_secrets]
    content: Document = {"automountServiceAccountToken": False} | ({"imagePullSecrets": secrets} if secrets else {})
    return child("v1", "ServiceAccount", names.child(facts.name), facts, **content)
