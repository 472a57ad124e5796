"""The languages of a request or an answer: those of its largest part, when that is long enough to be sure."""

from __future__ import annotations

from collections.abc import Iterable

from llmops_sidecars.contract import Action, LanguageRule
from llmops_sidecars.guard.rules.finding import INPUT, Check, Context, Find, Finding, Size, nothing
from llmops_sidecars.guard.rules.language.detect import languages
from llmops_sidecars.guard.rules.language.table import table

RULE = "language"
ACTIONS = frozenset({Action.REPORT, Action.BLOCK})


def make(rule: LanguageRule) -> Check:
    """The rule; raises ValueError for a language that it does not know, and an action that it has not.

    Of a request it looks at the user's messages, each by itself; of an answer at its content, when it is whole.
    """
    if rule.action not in ACTIONS:
        raise ValueError(f"language: the action is Block or Report, not {rule.action}")
    allowed, known = frozenset(rule.allowed), table().languages
    if not allowed <= known:
        unknown = ", ".join(sorted(allowed - known))
        raise ValueError(f"language: it does not know {unknown}; it knows {', '.join(sorted(known))}")

    def found(text: str) -> Iterable[Finding]:
        letters = languages(text, allowed, rule.confidence)
        largest = max(letters, key=lambda language: (letters[language], language), default="")
        if largest and largest not in allowed and letters[largest] >= rule.minimum_characters:
            yield Finding(0, len(text), RULE, largest, "", rule.action)

    def measure(size: Size) -> list[Finding]:
        return [finding for text in size.said for finding in found(text)]

    def bind(context: Context) -> Find:
        return nothing if context.direction == INPUT else found

    return Check(RULE, bind=bind, measure=measure, whole=True, as_is=True, content=True)
