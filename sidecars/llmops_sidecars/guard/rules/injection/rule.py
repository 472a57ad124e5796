"""The rule made for use: texts go to the shipped classifier or to the one that the policy brings along."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from llmops_sidecars.contract import Action, InjectionModel, InjectionRule
from llmops_sidecars.guard.rules.brought import LOADING_SECONDS
from llmops_sidecars.guard.rules.finding import INPUT, Ask, Check, Context, Finding
from llmops_sidecars.guard.rules.injection.judge import Span, spans

RULE = "injection"
ACTIONS = frozenset({Action.REPORT, Action.BLOCK})

INLINE = 2000
"""Characters that are judged where they are, within two milliseconds or so; longer texts are judged in a thread."""


def make(rule: InjectionRule) -> Check:
    """The rule with its classifier; raises ValueError for an action that cannot be, or a model that is not there."""
    if rule.action not in ACTIONS:
        raise ValueError(f"injection: the action is Block or Report, not {rule.action}")
    places, inline = (spans, INLINE) if rule.model is None else (_brought(rule.model), 0)

    async def ask(text: str) -> Iterable[Finding]:
        if len(text) <= inline:
            found = places(text, rule.threshold)
        else:
            found = await asyncio.to_thread(places, text, rule.threshold)
        return [Finding(start, end, RULE, kind, "", rule.action) for start, end, kind, _ in found]

    def bind_ask(context: Context) -> Ask:
        async def of_others(text: str) -> Iterable[Finding]:
            return () if text in context.trusted else await ask(text)

        return of_others

    seconds = Check.seconds if rule.model is None else LOADING_SECONDS
    return Check(RULE, ask=ask, bind_ask=bind_ask, inside=True, seconds=seconds, only=INPUT)


def _brought(model: InjectionModel) -> Callable[[str, float], list[Span]]:
    """The policy's own; its libraries are loaded by policies that have one alone."""
    from llmops_sidecars.guard.rules.injection.onnx import Classifier

    return Classifier(model).spans
