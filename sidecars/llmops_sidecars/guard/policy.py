"""A policy, made for use: its rules made once, for every request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from llmops_sidecars.contract import (
    Action,
    Audit,
    Consent,
    ContractError,
    HarmRule,
    InjectionRule,
    JsonSchemaRule,
    LanguageRule,
    LimitsRule,
    PatternsRule,
    PhrasesRule,
    PiiRule,
    Policy,
    PromptLeakRule,
    Rule,
    RuleModel,
    SecretsRule,
    SpecialTokensRule,
    StreamWindow,
    TopicsRule,
    UnicodeRule,
    UrlsRule,
    WebhookRule,
)
from llmops_sidecars.guard.rules import (
    harm,
    injection,
    json_schema,
    language,
    limits,
    patterns,
    phrases,
    pii,
    prompt_leak,
    secrets,
    special_tokens,
    topics,
    unicode,
    urls,
    webhook,
)
from llmops_sidecars.guard.rules.finding import INPUT, OUTPUT, Check, Context, Tail
from llmops_sidecars.guard.rules.hashing import hashed

MAKERS: dict[type[RuleModel], Callable[[Any], Check]] = {
    PiiRule: pii.make,
    SecretsRule: secrets.make,
    PatternsRule: patterns.make,
    HarmRule: harm.make,
    InjectionRule: injection.make,
    JsonSchemaRule: json_schema.make,
    LanguageRule: language.make,
    LimitsRule: limits.make,
    PromptLeakRule: prompt_leak.make,
    SpecialTokensRule: special_tokens.make,
    TopicsRule: topics.make,
    UnicodeRule: unicode.make,
    UrlsRule: urls.make,
    PhrasesRule: phrases.make,
    WebhookRule: webhook.make,
}
"""From a rule's model to the rule, one line a rule; they raise ValueError with the reason why one cannot be used."""


LEAST_KEY = 16
"""Bytes of a key for hashes: a shorter one could be found by trying."""


@dataclass(frozen=True)
class Rules:
    """The rules of one direction."""

    checks: tuple[Check, ...] = ()

    def bound(self, context: Context) -> Rules:
        """The rules for one request."""
        if not self.binds:
            return self
        return Rules(tuple(_bound(check, context) if _is_bound(check) else check for check in self.checks))

    @cached_property
    def binds(self) -> bool:
        """Whether any of them is another one for each request."""
        return any(map(_is_bound, self.checks))

    @cached_property
    def measuring(self) -> tuple[Check, ...]:
        """Those that look at whole requests."""
        return tuple(check for check in self.checks if check.measure is not None)

    @cached_property
    def asking(self) -> tuple[Check, ...]:
        """Those that ask somebody."""
        return tuple(check for check in self.checks if check.ask is not None)

    @cached_property
    def weighing(self) -> tuple[Check, ...]:
        """Those that look at whole requests or answers and take long for it."""
        return tuple(check for check in self.checks if check.weigh or check.bind_weigh)

    @cached_property
    def locating(self) -> tuple[Check, ...]:
        """Those that take long to say where something is."""
        return tuple(check for check in self.checks if check.locate is not None)

    @cached_property
    def waits(self) -> bool:
        """Whether any of them has to be waited for."""
        return bool(self.asking or self.weighing or self.locating)

    @cached_property
    def tails(self) -> tuple[Tail, ...]:
        """What the rules say of the end of a stream."""
        return tuple(check.tail for check in self.checks if check.tail is not None)

    @cached_property
    def longest_tail(self) -> int:
        """How many characters of a tail they want to see at least."""
        return max((check.longest for check in self.checks), default=0)

    @cached_property
    def beside_content(self) -> Rules:
        """Those for refusals and tool calls."""
        return Rules(tuple(check for check in self.checks if not check.content))

    @cached_property
    def whole(self) -> bool:
        """Whether an answer has to be complete before anything of it can be checked."""
        return self.waits or any(check.whole for check in self.checks)

    @cached_property
    def context(self) -> int:
        """How many characters before new text the rules want to see."""
        return max((check.context for check in self.checks), default=0)


@dataclass(frozen=True)
class CompiledPolicy:
    """The rules of both directions, the window of streams, what callers have to say and auditors get to read."""

    name: str
    version: str
    input: Rules
    output: Rules
    stream: StreamWindow
    consent: Consent | None = None
    audit: Audit | None = None


def compile_policy(policy: Policy) -> CompiledPolicy:
    """Compile; raises ContractError that names the rule which cannot be used."""
    key = _key(policy)
    return CompiledPolicy(
        name=policy.name,
        version=policy.version,
        input=Rules(tuple(_made(rule, policy, INPUT, key) for rule in policy.input)),
        output=Rules(tuple(_made(rule, policy, OUTPUT, key) for rule in policy.output)),
        stream=policy.stream,
        consent=policy.consent or None,
        audit=policy.audit or None,
    )


def _made(rule: Rule, policy: Policy, direction: str, key: bytes | None) -> Check:
    try:
        check = MAKERS[type(rule)](rule)
    except ValueError as error:
        raise ContractError(f"policy {policy.name!r}, {error}") from error
    if check.only not in ("", direction):
        raise ContractError(f"policy {policy.name!r}, {check.rule}: it is a rule for {check.only}, not for {direction}")
    if _hashes(rule):
        if key is None:
            raise ContractError(f"policy {policy.name!r}, rule {check.rule}: the action Hash needs a hash_key_file")
        check = hashed(check, key)
    return replace(check, on_error=rule.on_error or policy.on_error)


def _hashes(rule: Rule) -> bool:
    actions = [one.action for one in rule.patterns] if isinstance(rule, PatternsRule) else [rule.action]
    return Action.HASH in actions


def _key(policy: Policy) -> bytes | None:
    """The key for hashes, when the policy has one."""
    if not policy.hash_key_file:
        return None
    try:
        key = Path(policy.hash_key_file).read_bytes().strip()
    except OSError as error:
        reason = f"{error.strerror}: {policy.hash_key_file}"
        raise ContractError(f"policy {policy.name!r}: the key for hashes cannot be read: {reason}") from error
    if len(key) < LEAST_KEY:
        raise ContractError(
            f"policy {policy.name!r}: the key for hashes has {len(key)} bytes; give at least {LEAST_KEY}"
        )
    return key


def _is_bound(check: Check) -> bool:
    return bool(check.bind or check.bind_tail or check.bind_weigh or check.bind_ask or check.locate)


def _bound(check: Check, context: Context) -> Check:
    return replace(
        check,
        find=check.bind(context) if check.bind else check.find,
        tail=check.bind_tail(context) if check.bind_tail else check.tail,
        weigh=check.bind_weigh(context) if check.bind_weigh else check.weigh,
        ask=check.bind_ask(context) if check.bind_ask else check.ask,
        known={},
    )
