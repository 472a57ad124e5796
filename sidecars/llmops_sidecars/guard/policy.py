"""A policy, made for use: its rules compiled once, for every request."""

from __future__ import annotations

from dataclasses import dataclass

import re2

from llmops_sidecars.contract import (
    ContractError,
    OnError,
    Pattern,
    PatternsRule,
    PiiRule,
    Policy,
    Rule,
    StreamWindow,
)
from llmops_sidecars.guard.rules import patterns, pii, secrets
from llmops_sidecars.guard.rules.finding import Find
from llmops_sidecars.guard.rules.scan import options


@dataclass(frozen=True)
class Rules:
    """The rules of one direction, and what happens when one of them cannot run."""

    find: tuple[Find, ...] = ()
    on_error: OnError = OnError.CLOSED


@dataclass(frozen=True)
class CompiledPolicy:
    """The rules of both directions and the window of streams."""

    version: str
    input: Rules
    output: Rules
    stream: StreamWindow


def compile_policy(policy: Policy) -> CompiledPolicy:
    """Compile; raises ContractError that names the pattern which cannot be used."""
    return CompiledPolicy(
        version=policy.version,
        input=Rules(tuple(_compile(rule, policy) for rule in policy.input), policy.on_error),
        output=Rules(tuple(_compile(rule, policy) for rule in policy.output), policy.on_error),
        stream=policy.stream,
    )


def _compile(rule: Rule, policy: Policy) -> Find:
    if isinstance(rule, PiiRule):
        return pii.make(rule)
    if not isinstance(rule, PatternsRule):
        return secrets.make(rule)
    for pattern in rule.patterns:
        _require_usable(pattern, policy)
    return patterns.make(rule)


def _require_usable(pattern: Pattern, policy: Policy) -> None:
    try:
        re2.compile(pattern.expression, options())
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        raise ContractError(f"policy {policy.name!r}, pattern {pattern.name!r}: RE2 refuses it: {reason}") from error
