"""How much a request holds: messages, characters, tokens of the model's own."""

from __future__ import annotations

from collections.abc import Iterator

from llmops_sidecars.contract import Action, LimitsRule
from llmops_sidecars.guard.rules.finding import INPUT, Check, Finding, Size, Weigh

RULE = "limits"
MESSAGES, CHARACTERS, TOKENS = "Messages", "Characters", "Tokens"
ACTIONS = frozenset({Action.REPORT, Action.BLOCK})


def make(rule: LimitsRule) -> Check:
    """The rule; raises ValueError for an action that it has not, and for tokens of no tokenizer."""
    if rule.action not in ACTIONS:
        raise ValueError(f"limits: the action is Block or Report, not {rule.action}")

    def measure(size: Size) -> list[Finding]:
        return [Finding(0, 0, RULE, kind, "", rule.action) for kind in _surpassed(rule, size)]

    return Check(RULE, measure=measure, weigh=_weigh(rule), only=INPUT)


def _surpassed(rule: LimitsRule, size: Size) -> Iterator[str]:
    if rule.messages is not None and size.messages > rule.messages:
        yield MESSAGES
    if rule.characters is not None and sum(map(len, size.texts)) > rule.characters:
        yield CHARACTERS


def _weigh(rule: LimitsRule) -> Weigh | None:
    if rule.tokens is None:
        return None
    if rule.tokenizer_file is None:
        raise ValueError("limits: tokens cannot be counted without a tokenizer_file")
    from llmops_sidecars.guard.rules.tokens import Counter  # with it comes a library of eight megabytes

    limit, counter = rule.tokens, Counter(rule.tokenizer_file)

    async def weigh(size: Size) -> list[Finding]:
        surpassed = await counter.surpass(size.texts, limit)
        return [Finding(0, 0, RULE, TOKENS, "", rule.action)] if surpassed else []

    return weigh
