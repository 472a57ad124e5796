"""The guard's metrics; what is counted by revision is what a canary is judged by later."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from llmops_sidecars.proxy.metrics import (
    FIRST_TOKEN_SECONDS,
    INTER_TOKEN_SECONDS,
    OVERHEAD_SECONDS,
    REQUEST_SECONDS,
    counted,
    new_registry,
    timed,
)


class GuardMetrics:
    """One registry and its families."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.registry = registry = new_registry("llmops_guard")
        self.requests = counted("llmops_requests", "Requests by outcome.", ["revision", "outcome"], registry)
        self.seconds = timed("llmops_request_seconds", "Whole requests.", ["revision"], REQUEST_SECONDS, registry)
        self.first_token = timed(
            "llmops_first_token_seconds", "To the first token.", ["revision"], FIRST_TOKEN_SECONDS, registry
        )
        self.inter_token = timed(
            "llmops_inter_token_seconds", "Between tokens.", ["revision"], INTER_TOKEN_SECONDS, registry
        )
        self.queue = Histogram(
            "llmops_queue_seconds", "Waiting for a slot.", buckets=REQUEST_SECONDS, registry=registry
        )
        self.check = timed("llmops_guard_check_seconds", "Checking a prompt.", ["revision"], OVERHEAD_SECONDS, registry)
        self.waited = timed(
            "llmops_guard_rule_seconds",
            "Waiting for a rule that asks somebody or works in a thread.",
            ["revision", "rule"],
            OVERHEAD_SECONDS,
            registry,
        )
        self.in_flight = Gauge("llmops_requests_in_flight", "Requests that hold a slot.", registry=registry)
        self.queued = Gauge("llmops_requests_queued", "Requests that wait for a slot.", registry=registry)
        self.tokens = counted(
            "llmops_tokens", "Tokens, as the engine counts them.", ["revision", "direction"], registry
        )
        self.verdicts = counted(
            "llmops_guard_verdicts", "Findings.", ["revision", "rule", "direction", "action"], registry
        )
        self.errors = counted(
            "llmops_guard_errors", "Checks that could not run.", ["revision", "rule", "direction"], registry
        )
        self.cache = counted("llmops_answers", "Answers by what the cache did.", ["revision", "cache"], registry)
        self.prompts = counted(
            "llmops_prompts", "Requests by template and its version.", ["prompt", "version", "outcome"], registry
        )
        self.tenant_requests = counted(
            "llmops_tenant_requests", "Requests of known tenants.", ["tenant", "result"], registry
        )
        self.tenant_tokens = counted(
            "llmops_tenant_tokens", "Tokens of known tenants.", ["tenant", "direction"], registry
        )
        self.refused_connections = counted(
            "llmops_connections_refused",
            "Connections that were refused before there was a request, by the error's code.",
            ["code"],
            registry,
        )
        self.access_problems = Gauge(
            "llmops_access_problem", "1 while a part of access is not as it should be.", ["part"], registry=registry
        )
        self.refused_contracts = Gauge(
            "llmops_contract_refused", "1 while the contract file is not in use.", registry=registry
        )
        self.contract = Gauge("llmops_contract_info", "1 for the contract in use.", ["digest"], registry=registry)
        self.contract_changes = Counter("llmops_contract_changes", "Contracts taken into use.", registry=registry)

    def access_has(self, problems: Iterable[str]) -> None:
        """These parts of access are not as they should be, and no others."""
        self.access_problems.clear()
        for part in problems:
            self.access_problems.labels(part).set(1)

    def contract_changed(self, digest: str) -> None:
        """Another contract is in use; the former one's series ends."""
        self.contract.clear()
        self.contract.labels(digest).set(1)
        self.contract_changes.inc()
