"""How well topics that an author describes by a few examples are told from others.

Denied topics: found are questions on them, false alarms other questions. Allowed topics: found is what is off them,
false alarms are questions on them. `same` wording shares words with the examples, `other` does not mean to.
"""

from __future__ import annotations

import random
from typing import Any

from bench.judgement.cases import TEXTS, Case, judged
from llmops_sidecars.contract import Action, Policy, Topic, TopicsRule
from llmops_sidecars.guard.policy import compile_policy
from llmops_sidecars.guard.rules.finding import Size
from llmops_sidecars.guard.verdict import measure as measured
from tools.injection.builtin import BUILTIN
from tools.injection.grammar import read

SEED, EACH = 411, 6

DENIED = (
    Topic(
        "medicine",
        (
            "which tablets should I take against pain",
            "is this medicine safe for a child",
            "what illness causes these symptoms",
            "side effects of a medicine",
            "Welches Medikament soll ich nehmen",
        ),
        ("dose", "doctor", "ibuprofen"),
    ),
    Topic(
        "law",
        (
            "can I sue my neighbour",
            "is this contract valid",
            "what does the law say about notice periods",
            "I need a lawyer for a lawsuit",
            "Ist dieser Vertrag gültig, brauche ich einen Anwalt",
        ),
        ("court", "lawyer", "landlord"),
    ),
    Topic(
        "investing",
        (
            "which shares should I buy",
            "is this fund a good investment",
            "will the price of gold rise",
            "how should I invest my savings",
            "Welche Aktien soll ich kaufen",
        ),
        ("bitcoin", "stock market"),
    ),
    Topic(
        "politics",
        (
            "which party should I vote for",
            "what do you think about the president",
            "the government's plan for taxes",
            "Welche Partei soll ich wählen",
        ),
        ("election", "minister"),
    ),
)
ALLOWED = (
    Topic(
        "orders",
        (
            "where is my order",
            "I want to return a product and get my money back",
            "how much is shipping",
            "cancel my order",
            "change the delivery address",
            "Wo ist meine Bestellung",
            "Ich möchte etwas zurückgeben",
        ),
        ("parcel", "refund"),
    ),
    Topic(
        "products",
        (
            "which sizes and colours are available",
            "does it come with a warranty",
            "what material is it made of",
            "Gibt es das auch in einer anderen Farbe",
        ),
        ("in stock",),
    ),
    Topic(
        "account",
        ("I forgot my password", "delete my account", "change my e-mail address", "Passwort vergessen"),
        ("log in",),
    ),
)
NAMES = {"denied": {one.name for one in DENIED}, "allowed": {one.name for one in ALLOWED}}


def measure() -> dict[str, Any]:
    """Of a policy with denied topics, and of one with allowed topics."""
    return {"denied": _denied(), "allowed": _allowed()}


def cases() -> list[Case]:
    """Questions with their topics; `wanted` says nothing yet."""
    chance = random.Random(SEED)
    return [
        Case(text, False, {"topic": one.label, "wording": one.kind, "language": one.language}, one.source)
        for one in read(TEXTS / "topics", BUILTIN)
        for text in dict.fromkeys(one.make(chance) for _ in range(EACH))
    ]


def _denied() -> dict[str, Any]:
    rule = TopicsRule(denied=DENIED, action=Action.REPORT)
    of_it = [Case(one.text, one.groups["topic"] in NAMES["denied"], one.groups, one.unit) for one in cases()]
    return judged(of_it, lambda case: bool(_found(rule, case.text) & ({case.groups["topic"]} if case.wanted else ANY)))


def _allowed() -> dict[str, Any]:
    rule = TopicsRule(allowed=ALLOWED, action=Action.REPORT)
    off = [Case(one.text, one.groups["topic"] not in NAMES["allowed"], one.groups, one.unit) for one in cases()]
    return judged(off, lambda case: bool(_found(rule, case.text)))


ANY = NAMES["denied"]


def _found(rule: TopicsRule, text: str) -> set[str]:
    size = Size(1, (text,), (text,))
    return {one.kind for one in measured(size, compile_policy(Policy(input=(rule,))).input).reported}
