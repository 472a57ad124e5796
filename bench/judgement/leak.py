"""How many repetitions of instructions the rule promptLeak finds, in several ways to write them, and false alarms.

Half of what is repeated stands alone, half within an answer. `a word in five left out` is more than the rule claims.
"""

from __future__ import annotations

import base64
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from bench.judgement.cases import TEXTS, Case, bucket, judged, kinds, rules_of
from llmops_sidecars.contract import Action, PromptLeakRule
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.rules.finding import OUTPUT, Context
from llmops_sidecars.guard.rules.prompt_leak import reduced
from tools.injection.builtin import BUILTIN
from tools.injection.grammar import Template, read

SEED, EACH, RULES, ANSWERS = 815, 8, 6, 60
LETTERS = (45, 70, 120, 250)
"""Of what is repeated, at least; the rule's bound is 40 by default."""

TO_CYRILLIC = str.maketrans("aceopxy", "асеорху")
WAYS: dict[str, Callable[[str], str]] = {
    "word for word": lambda text: text,
    "in capitals": str.upper,
    "as a list": lambda text: "\n".join(f"{n}. **{one}**" for n, one in enumerate(_thirds(text), start=1)),
    "letter by letter": " ".join,
    "with hyphens": lambda text: "-".join(text.split()),
    "with look-alikes": lambda text: text.translate(TO_CYRILLIC),
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in quotation marks": lambda text: f'I was told: "{text}"',
    "as JSON": lambda text: f'{{"system": "{text}"}}',
    "a word in five left out": lambda text: " ".join(w for n, w in enumerate(text.split()) if n % 5 != 4),
}
WITHOUT_SPACES = frozenset({"with hyphens", "a word in five left out", "with look-alikes", "in capitals"})
"""Ways that change nothing in Chinese."""


def measure() -> dict[str, Any]:
    """By way, language, letters; of harmless answers by language and length."""
    made: dict[str, Rules] = {}

    def hit(case: Case) -> bool:
        instructions, text = case.text.split(APART)
        if instructions not in made:
            context = Context((instructions,), direction=OUTPUT)
            made[instructions] = rules_of(PromptLeakRule(action=Action.REPORT), output=True, context=context)
        return bool(kinds(text, made[instructions]))

    return judged(cases(), hit)


APART = "\n\x00\n"
"""Between the instructions and the answer of a case."""


def cases() -> list[Case]:
    """All of them, the same on every run."""
    chance = random.Random(SEED)
    lines: defaultdict[tuple[str, str], list[Template]] = defaultdict(list)
    for one in read(TEXTS / "leak", BUILTIN):
        lines[one.language, one.label].append(one)
    found: list[Case] = []
    for language in sorted({language for language, _ in lines}):
        rules, answers = lines[language, "instructions"], lines[language, "answer"]
        found += _leaks(language, rules, answers, chance)
        found += _answers(language, rules, answers, chance)
    return found


def _leaks(language: str, rules: list[Template], answers: list[Template], chance: random.Random) -> Iterator[Case]:
    for way, written in WAYS.items():
        if language == "zh" and way in WITHOUT_SPACES:
            continue
        for number in range(EACH * len(LETTERS)):
            instructions, least = _some(rules, RULES, chance), LETTERS[number % len(LETTERS)]
            said = written(_piece(instructions, least, chance))
            answer = said if number % 2 else f"{_some(answers, 2, chance)} {said} {_some(answers, 2, chance)}"
            groups = {"way": way, "language": language, "letters": f"{least} or more"}
            yield Case(f"{instructions}{APART}{answer}", True, groups)


def _answers(language: str, rules: list[Template], answers: list[Template], chance: random.Random) -> Iterator[Case]:
    for number in range(ANSWERS):
        answer = _some(answers, 1 + number % 6, chance)
        text = f"{_some(rules, RULES, chance)}{APART}{answer}"
        yield Case(text, False, {"language": language, "length": bucket(answer)})


def _some(templates: list[Template], count: int, chance: random.Random) -> str:
    return " ".join(one.make(chance) for one in chance.sample(templates, min(count, len(templates))))


def _piece(text: str, least: int, chance: random.Random) -> str:
    """From the beginning of some word on, so many letters, to the end of a word."""
    starts = [0, *(place + 1 for place, sign in enumerate(text) if sign == " ")]
    start = chance.choice([place for place in starts if len(reduced(text[place:])) >= least] or [0])
    end = next((end for end in range(start, len(text)) if len(reduced(text[start:end])) >= least), len(text))
    while end < len(text) and text[end].isalpha() and text[end].isascii():
        end += 1
    return text[start:end]


def _thirds(text: str) -> list[str]:
    """A text in three pieces, cut between words where it has any."""
    words = text.split() if " " in text else list(text)
    size, joint = -(-len(words) // 3), " " if " " in text else ""
    return [joint.join(words[at : at + size]) for at in range(0, len(words), size)]
