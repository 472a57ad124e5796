"""The rule made for use: texts go to the shipped classifier or to the one that the policy brings along."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from llmops_sidecars.contract import Action, InjectionModel, InjectionRule
from llmops_sidecars.guard.rules.brought import LOADING_SECONDS
from llmops_sidecars.guard.rules.finding import INPUT, Ask, Check, Context, Finding, Size, Weigh
from llmops_sidecars.guard.rules.injection.judge import Span, spans

RULE = "injection"
ACTIONS = frozenset({Action.REPORT, Action.BLOCK})

INLINE = 2000
"""Characters that are judged where they are, within two milliseconds or so; longer texts are judged in a thread."""

JOINED = 8192
"""Characters, of the end, of all messages together: an attack may be dealt out to several."""

SEVERAL = "messages"
"""The kind of what is found in messages together."""


def make(rule: InjectionRule) -> Check:
    """The rule with its classifier; raises ValueError for an action that cannot be, or a model that is not there."""
    if rule.action not in ACTIONS:
        raise ValueError(f"injection: the action is Block or Report, not {rule.action}")
    places, inline = (spans, INLINE) if rule.model is None else (_brought(rule.model), 0)

    async def found(text: str) -> list[Span]:
        if len(text) <= inline:
            return places(text, rule.threshold)
        return await asyncio.to_thread(places, text, rule.threshold)

    async def ask(text: str) -> Iterable[Finding]:
        return [Finding(start, end, RULE, kind, "", rule.action) for start, end, kind, _ in await found(text)]

    def bind_ask(context: Context) -> Ask:
        async def of_others(text: str) -> Iterable[Finding]:
            return () if text in context.trusted else await ask(text)

        return of_others

    def bind_weigh(context: Context) -> Weigh:
        async def together(size: Size) -> Iterable[Finding]:
            joined = _joined(size, context)
            return [Finding(0, 0, RULE, SEVERAL, "", rule.action)] if joined and await found(joined) else ()

        return together

    seconds = Check.seconds if rule.model is None else LOADING_SECONDS
    return Check(RULE, ask=ask, bind_ask=bind_ask, bind_weigh=bind_weigh, inside=True, seconds=seconds, only=INPUT)


def _joined(size: Size, context: Context) -> str:
    """What was said in several messages, instructions and the author's own texts left out; nothing when it is one."""
    said = [text for text in size.texts if text not in context.trusted and text not in context.instructions]
    return " ".join(said)[-JOINED:] if len(said) > 1 else ""


def _brought(model: InjectionModel) -> Callable[[str, float], list[Span]]:
    """The policy's own; its libraries are loaded by policies that have one alone."""
    from llmops_sidecars.guard.rules.injection.onnx import Classifier

    return Classifier(model).spans
