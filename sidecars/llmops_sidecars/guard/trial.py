"""A policy tried on texts, for its author: what the guard would do with each, and where it found what.

The texts are printed with what was found in them: this is for a terminal, never for a log.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from llmops_sidecars.contract import Action, ContractError, decode
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.rules.finding import Context, Finding, Size
from llmops_sidecars.guard.vault import Vault
from llmops_sidecars.guard.verdict import Findings, RuleError, consult, decide, examine, locate, measure

PASSED, REPORTED, CHANGED, BLOCKED, FAILED = "Passed", "Reported", "Changed", "Blocked", "Failed"

AROUND = 24
"""Characters of the text that are shown on either side of a finding."""

MOST_SHOWN = 60
"""Characters of a finding that are shown."""

HEAD = ("LINE", "VERDICT", "RULE", "KIND", "ACTION", "SPAN", "TEXT")


@dataclass(frozen=True)
class Place:
    """One finding: where it is, in characters, and what it does."""

    rule: str
    kind: str
    action: str
    start: int
    end: int


@dataclass(frozen=True)
class Tried:
    """What becomes of one text: `forwarded` is what the guard sends on, or what stands before what is blocked."""

    line: int
    verdict: str
    places: tuple[Place, ...]
    text: str
    forwarded: str


@dataclass(frozen=True)
class Outcome:
    """What is printed, and where; `status`: 0 nothing is blocked, 1 something is, 2 the policy cannot be tried."""

    text: str
    notes: tuple[str, ...]
    status: int


def run(contract: Path, texts: Path, direction: str, output: str) -> Outcome:
    """The command `check`: the first policy of a contract, tried on each line of a file."""
    try:
        policy = decode(contract.read_bytes()).configurations[0].policy
        rules: Rules = getattr(compile_policy(policy), direction)
        results = asyncio.run(tried(rules, _lines(texts)))
    except (ContractError, OSError, UnicodeDecodeError) as error:
        return Outcome("", (str(error),), 2)
    waiting = (*(check for check in rules.asking if not check.inside), *rules.weighing)
    notes = tuple(f"not tried: {check.rule} asks a service, or counts by the model's files" for check in waiting)
    text = as_json(results) if output == "json" else as_table(results)
    return Outcome(text, notes, int(any(one.verdict in {BLOCKED, FAILED} for one in results)))


async def tried(rules: Rules, texts: Iterable[str]) -> list[Tried]:
    """Each text as a request or an answer of its own; blank ones are left out."""
    return [
        await _tried(rules.bound(Context()), line, text) for line, text in enumerate(texts, start=1) if text.strip()
    ]


def as_table(results: Sequence[Tried]) -> str:
    """A row for each finding, and one for each text without any."""
    rows = [row for one in results for row in _rows(one)]
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (HEAD, *rows)
    )


def as_json(results: Sequence[Tried]) -> str:
    """A JSON document for each text, a line each."""
    return "\n".join(msgspec.json.encode(asdict(one)).decode() for one in results)


def _lines(path: Path) -> list[str]:
    if str(path) == "-":
        return sys.stdin.read().splitlines()
    return path.read_text(encoding="utf-8").splitlines()


async def _tried(rules: Rules, line: int, text: str) -> Tried:
    """What a classifier says is of the text as it was given, so that what it found has its place there."""
    inside = Rules(tuple(check for check in rules.checks if check.inside))
    try:
        await locate((text,), rules)
        found = examine(text, rules)
        size = Size(1, (text,), (text,))
        others = (measure(size, rules), await consult(size, inside))
    except RuleError as error:
        return Tried(line, FAILED, (Place(error.rule, "", "", 0, 0),), text, "")
    said = (found, *others)
    places = tuple(sorted(place for one in said for place in (*one.places, *one.reported)))
    forwarded = "" if any(one.blocking for one in others) else decide(text, found, Vault()).text
    return Tried(line, _verdict(said), tuple(map(_place, places)), text, forwarded)


def _verdict(said: Sequence[Findings]) -> str:
    if any(one.errors for one in said):
        return FAILED
    actions = {place.action for one in said for place in one.places}
    if Action.BLOCK in actions:
        return BLOCKED
    return CHANGED if actions else REPORTED if any(one.reported for one in said) else PASSED


def _place(finding: Finding) -> Place:
    return Place(finding.rule, finding.kind, finding.action.value, finding.start, finding.end)


def _rows(result: Tried) -> Iterator[tuple[str, ...]]:
    if not result.places:
        yield (str(result.line), result.verdict, "", "", "", "", _shown(result.text[: 2 * AROUND]))
    for place in result.places:
        span = f"{place.start}-{place.end}"
        marked = _marked(result.text, place)
        yield (str(result.line), result.verdict, place.rule, place.kind, place.action, span, marked)


def _marked(text: str, place: Place) -> str:
    """The finding between marks, with a little of what stands around it."""
    before, after = text[max(place.start - AROUND, 0) : place.start], text[place.end : place.end + AROUND]
    found = text[place.start : place.end]
    if len(found) > MOST_SHOWN:
        found = f"{found[: MOST_SHOWN // 2]}…{found[-MOST_SHOWN // 2 :]}"
    return f"{_shown(before)}>>{_shown(found)}<<{_shown(after)}" if found else _shown(text[: 2 * AROUND])


def _shown(text: str) -> str:
    """The text with what a terminal would obey or hide made visible."""
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text)
