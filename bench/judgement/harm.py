"""How much harm the rule finds, as what it is, and how many harmless texts it takes for harm.

A filling of a template is judged alone, and hidden in prose of its language; templates count, not fillings.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from bench.judgement.cases import HIDING, TEXTS, Case, bucket, judged, kinds, rules_of
from bench.judgement.injection_set import Set
from llmops_sidecars.contract import Action, HarmRule
from tools.injection.builtin import BUILTIN
from tools.injection.grammar import Template, read

SEED, EACH = 305, 6
HARMLESS = "benign"


def measure() -> dict[str, Any]:
    """By category, wording and language of texts alone; by length of texts alone and hidden."""
    rules = rules_of(HarmRule(action=Action.REPORT))

    def hit(case: Case) -> bool:
        found = kinds(case.text, rules)
        return case.unit.partition(" ")[0] in found if case.wanted else bool(found)

    return judged(cases(), hit)


def cases() -> list[Case]:
    """All of them, the same on every run."""
    chance, prose = random.Random(SEED), Set()
    return [case for template in read(TEXTS / "harm", BUILTIN) for case in _cases(template, chance, prose)]


def _cases(template: Template, chance: random.Random, prose: Set) -> Iterator[Case]:
    wanted, unit = template.label != HARMLESS, f"{template.label} {template.language} {template.source}"
    groups = {"category": template.label} if wanted else {}
    groups |= {"wording": template.kind, "language": template.language}
    for text in dict.fromkeys(template.make(chance) for _ in range(EACH)):
        yield Case(text, wanted, groups | {"length": bucket(text)}, unit)
    for length in HIDING:
        before, after = (prose.prose(template.language, length // 2) for _ in range(2))
        text = f"{before}\n\n{template.make(chance)}\n\n{after}"
        yield Case(text, wanted, {"length": bucket(text)}, unit)
