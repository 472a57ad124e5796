"""The two contracts: nothing on, and all of the guard's rules on prompts and on answers with an exact cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from llmops_sidecars.contract import (
    CacheSettings,
    Configuration,
    Contract,
    Engine,
    Pattern,
    PatternsRule,
    PhrasesRule,
    Policy,
    Rule,
)

ARGUMENTS: Mapping[type, Mapping[str, Any]] = {
    PhrasesRule: {"phrases": tuple(f"code name number {number}" for number in range(1000))},
    PatternsRule: {"patterns": (Pattern("project", r"(?i)project\s+x"), Pattern("ticket", r"\bTK-\d{6}\b"))},
}
"""What rules are given that have no useful default; all others are taken as they come."""

LEFT_OUT: Mapping[str, str] = {
    "jsonSchema": "the bench's answers are words, no JSON",
    "language": "the bench's words are too few to be of a language",
    "limits": "for prompts only",
    "promptLeak": "for answers only, and the bench's prompts have no instructions",
    "topics": "what is on topic is for an author to say",
    "webhook": "it measures somebody else's service, and holds streams to their end",
}
"""Rules that cannot be a part of it, by name, each with its reason."""

PROMPTS_ALONE = frozenset({"injection", "specialTokens"})
"""Rules that no answer can have."""


def nothing_on(engine: Engine) -> Contract:
    """No rule, no cache."""
    return Contract("bench", engine, (Configuration("nothing"),))


def everything_on(engine: Engine) -> Contract:
    """Every rule that a policy can have, in all directions that it is for, and answers remembered for an hour."""
    rules = tuple(kind(**ARGUMENTS.get(kind, {})) for kind in kinds() if name(kind) not in LEFT_OUT)
    of_answers = tuple(rule for rule in rules if name(type(rule)) not in PROMPTS_ALONE)
    policy = Policy("everything", "1", input=rules, output=of_answers)
    return Contract("bench", engine, (Configuration("everything", policy=policy, cache=CacheSettings(3600.0)),))


def kinds() -> tuple[type, ...]:
    """The classes of rules that the contract knows."""
    return get_args(Rule) or (Rule,)


def name(kind: type) -> str:
    """What users call a rule."""
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]


def left_out() -> Mapping[str, str]:
    """What is not on, and why."""
    return LEFT_OUT
