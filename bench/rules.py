"""How long rules take for a text: `python -m bench.rules`, some seconds, no cluster. Processor time of this process."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.report import Goal, write
from llmops_sidecars.contract import (
    HarmRule,
    JsonSchemaRule,
    LanguageRule,
    LimitsRule,
    PromptLeakRule,
    Topic,
    TopicsRule,
    UnicodeRule,
    UrlsRule,
)
from llmops_sidecars.contract.checks import CheckRule
from llmops_sidecars.guard.policy import MAKERS
from llmops_sidecars.guard.rules.finding import OUTPUT, Check, Context, Size

SIZES = (4096, 16384)
ROUNDS = 20
INSTRUCTIONS = "You answer questions about orders, invoices and returns of our shop, politely and in few words. " * 20
PLAIN = "The quick brown fox jumps over the lazy dog and shows all the people something new to see. "
TOPICS = tuple(
    Topic(name, (f"tell me about {name}", f"what do you think of {name} and its history"), (name,))
    for name in ("politics", "medicine", "football", "cooking", "weather", "religion")
)

RULES: dict[str, tuple[CheckRule, str, str]] = {
    "harm": (
        HarmRule(),
        PLAIN,
        "The dog was hurt by a bomb in the war, a man was murdered, people hated those drugs. ",
    ),
    "topics": (
        TopicsRule(denied=TOPICS),
        PLAIN,
        "Football and politics, say the cooks, are like religion and the weather. ",
    ),
    "language": (LanguageRule(("de",)), PLAIN, "Der Hund läuft über die Straße, und alle Leute sehen ihm dabei zu. "),
    "unicode": (
        UnicodeRule(),
        PLAIN,
        "Gr\u00fc\u00dfe 漢字 👍🏽 \u0645\u06cc\u200c\u062e\u0648 p\u0430ypal, слово und noch mehr davon. ",
    ),
    "urls": (
        UrlsRule(("example.com",)),
        PLAIN,
        "See https://example.com/a?b=c and [this](https://www.other.test/x) now. ",
    ),
    "limits": (LimitsRule(characters=10**9), PLAIN, PLAIN),
    "promptLeak": (PromptLeakRule(), PLAIN, INSTRUCTIONS),
    "jsonSchema": (JsonSchemaRule({"type": "array", "items": {"type": "string"}}), "", ""),
}
"""A rule, a text without anything for it, and one full of it."""


def main() -> int:
    """Measure, print, write the results."""
    figures: dict[str, dict[str, float]] = {}
    for name, (rule, plain, rich) in RULES.items():
        look = _look(MAKERS[type(rule)](rule))
        for kind, text in (("plain", plain), ("rich", rich)):
            for size in SIZES:
                figures.setdefault(name, {})[f"{kind} {size // 1024} KB"] = _milliseconds(look, _text(text, size))
        print(name, figures[name])
    goals = [Goal(f"{name}, plain text of 16 KB", one["plain 16 KB"], "ms", "<= 5") for name, one in figures.items()]
    write("rules", {"milliseconds": figures}, goals)
    return 0


def _look(check: Check) -> Callable[[str], object]:
    """What a rule does with one text: as an answer's, or as the one message of a request."""
    if check.measure is not None:
        measure = check.measure
        return lambda text: list(measure(Size(1, (text,), (text,))))
    find = check.bind(Context(instructions=(INSTRUCTIONS,), direction=OUTPUT)) if check.bind else check.find
    return lambda text: list(find(text))


def _text(piece: str, size: int) -> str:
    if not piece:
        return "[" + ", ".join(['"a string of some length"'] * (size // 27)) + "]"
    return (piece * (size // len(piece) + 1))[:size]


def _milliseconds(look: Callable[[str], object], text: str) -> float:
    look(text)
    started = time.process_time()
    for _ in range(ROUNDS):
        look(text)
    return round((time.process_time() - started) / ROUNDS * 1000, 3)


if __name__ == "__main__":
    raise SystemExit(main())
