"""The rule made for use: texts go to the shipped classifier or to the one that the policy brings along."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from llmops_sidecars.contract import Action, InjectionRule
from llmops_sidecars.guard.rules.finding import INPUT, Check, Finding
from llmops_sidecars.guard.rules.injection.judge import Span, spans

RULE = "injection"
ACTIONS = frozenset({Action.REPORT, Action.BLOCK})

INLINE = 2000
"""Characters that are judged where they are, within two milliseconds or so; longer texts are judged in a thread."""


def make(rule: InjectionRule) -> Check:
    """The rule with its classifier; raises ValueError for an action that cannot be."""
    if rule.action not in ACTIONS:
        raise ValueError(f"injection: the action is Block or Report, not {rule.action}")
    places = _shipped if rule.model is None else _brought(rule)

    async def ask(text: str) -> Iterable[Finding]:
        return [Finding(start, end, RULE, kind, "", rule.action) for start, end, kind, _ in await places(text)]

    return Check(RULE, ask=ask, only=INPUT)


async def _shipped(text: str) -> list[Span]:
    return spans(text) if len(text) <= INLINE else await asyncio.to_thread(spans, text)


def _brought(rule: InjectionRule) -> Callable[[str], Awaitable[list[Span]]]:
    from llmops_sidecars.guard.rules.injection.onnx import Classifier

    assert rule.model is not None  # noqa: S101 - for the types; the caller asked
    classifier = Classifier(rule.model)
    return lambda text: asyncio.to_thread(classifier.spans, text)
