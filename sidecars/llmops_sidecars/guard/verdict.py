"""From findings to a verdict: a block wins, the rest is replaced, overlaps are one place under the strongest action."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, takewhile
from typing import NamedTuple

from llmops_sidecars.contract import Action, OnError
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.rules import patterns, phrases
from llmops_sidecars.guard.rules.finding import STRENGTH, Check, Finding, Size
from llmops_sidecars.guard.rules.forms import Form, forms
from llmops_sidecars.guard.vault import Vault
from llmops_sidecars.proxy.deadline import Deadline

Counts = Mapping[tuple[str, str, str], int]
"""Findings by rule, kind and action."""

TELLING = frozenset({"harm", "language", "limits", "topics", "webhook"})
"""Rules of which the name alone does not say what to do."""

_log = logging.getLogger(__name__)


class Findings(NamedTuple):
    """What all rules found in one text: `places` in order and apart, `reported` beside them. `errors` names rules.

    `seconds`: how long each rule took that had to be waited for.
    """

    places: tuple[Finding, ...] = ()
    reported: tuple[Finding, ...] = ()
    errors: tuple[str, ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()

    @property
    def blocking(self) -> Finding | None:
        """The first finding that blocks."""
        return next((one for one in self.places if one.action is Action.BLOCK), None)


NOTHING = Findings()
"""Of most texts."""


class RuleError(Exception):
    """A rule could not run, and the policy refuses then; `rule` is its name.

    `findings`: what was known until then, the error and its time included.
    """

    def __init__(self, rule: str, findings: Findings) -> None:
        super().__init__(rule)
        self.rule, self.findings = rule, findings


@dataclass(frozen=True)
class Verdict:
    """A text after its check; it prints without it. After a block, the text is what stood before the finding."""

    text: str = field(repr=False)
    blocked_by: str | None
    counts: Counts
    errors: tuple[str, ...] = ()


def judge(text: str, rules: Rules, vault: Vault | None = None) -> Verdict:
    """Check one whole text; raises RuleError when a rule cannot run and has to."""
    return decide(text, examine(text, rules), vault)


def decide(text: str, findings: Findings, vault: Vault | None = None) -> Verdict:
    """The verdict that findings are."""
    if findings is NOTHING:
        return Verdict(text, None, {})
    blocking = findings.blocking
    passing = tuple(takewhile(lambda place: place is not blocking, findings.places))
    masked = mask(text if blocking is None else text[: blocking.start], passing, vault)
    counts = count((*findings.places, *findings.reported))
    return Verdict(masked, name(blocking) if blocking else None, counts, findings.errors)


def examine(text: str, rules: Rules) -> Findings:
    """Run all rules over all forms of a text; raises RuleError."""
    looked_at = forms(text) if rules.checks else []
    found: list[Finding] = []
    errors: list[str] = []
    for check in rules.checks:
        try:
            for form in looked_at[:1] if check.as_is else looked_at:
                found.extend(_found(check, form))
            if check.locate and text:
                known = check.known[text]
                found.extend(known or ())
                errors += [check.rule] if known is None else []
        except Exception as error:  # noqa: BLE001 - whatever it is, the policy says what follows
            failed(check, error, found, errors)
    return gathered(found, errors)


def measure(size: Size, rules: Rules) -> Findings:
    """Run the checks of whole requests; raises RuleError."""
    found: list[Finding] = []
    errors: list[str] = []
    for check in rules.measuring:
        try:
            found.extend(check.measure(size) if check.measure else ())
        except Exception as error:  # noqa: BLE001 - whatever it is, the policy says what follows
            failed(check, error, found, errors)
    return gathered(found, errors)


async def consult(size: Size, rules: Rules) -> Findings:
    """Run the checks that have to be waited for, over a request or an answer and over each of its texts.

    Raises RuleError.
    """
    questions = [(check, partial(check.weigh, size)) for check in rules.weighing if check.weigh]
    questions += [(check, partial(check.ask, text)) for check in rules.asking if check.ask for text in size.texts]
    return await _awaited(questions)


async def locate(texts: Iterable[str], rules: Rules) -> tuple[tuple[str, float], ...]:
    """Have the checks that take long look at texts, which are all that `examine` can be asked about afterwards.

    Tells times; `examine` tells what could not be looked at, text by text. Raises RuleError.
    """
    shown = tuple(dict.fromkeys(texts))
    return (await _awaited((check, partial(_learned, check, shown)) for check in rules.locating)).seconds


async def _learned(check: Check, texts: Sequence[str]) -> tuple[()]:
    new = [text for text in texts if text not in check.known]
    if check.on_error is OnError.OPEN:
        check.known.update(dict.fromkeys(new))  # as it stays when this fails
    if check.locate is not None and new:
        check.known.update(zip(new, await check.locate(new), strict=True))
    return ()


async def _awaited(questions: Iterable[tuple[Check, Callable[[], Awaitable[Iterable[Finding]]]]]) -> Findings:
    """Each in its turn, none longer than its time; one that is late could not run."""
    found: list[Finding] = []
    errors: list[str] = []
    seconds: list[tuple[str, float]] = []
    for check, question in questions:
        started, problem = time.monotonic(), None
        try:
            with Deadline(check.seconds):
                found.extend(await question())
        except Exception as error:  # noqa: BLE001 - whatever it is, the policy says what follows
            problem = error
        seconds.append((check.rule, time.monotonic() - started))
        if problem is not None:
            failed(check, problem, found, errors, seconds)
    return gathered(found, errors, seconds)


def failed(
    check: Check,
    error: Exception,
    found: Collection[Finding],
    errors: list[str],
    seconds: Collection[tuple[str, float]] = (),
) -> None:
    """Tell that a rule could not run, without any text, and add it to the errors; raises RuleError if it has to run."""
    _log.error("a rule could not run", extra={"rule": check.rule, "error": type(error).__name__, "at": _place(error)})
    errors.append(check.rule)
    if check.on_error is OnError.CLOSED:
        raise RuleError(check.rule, gathered(found, errors, seconds)) from error


def gathered(
    found: Collection[Finding], errors: Collection[str] = (), seconds: Collection[tuple[str, float]] = ()
) -> Findings:
    """Findings of any order, in order: those that only report apart from those that do something."""
    if not (found or errors or seconds):
        return NOTHING
    everything = [one for one, _same in groupby(sorted(found))]
    acting = [one for one in everything if one.action is not Action.REPORT]
    reported = [one for one in everything if one.action is Action.REPORT]
    return Findings(_apart(acting), tuple(reported), tuple(errors), tuple(seconds))


def outside(findings: Findings, places: Collection[tuple[int, int]]) -> Findings:
    """Findings without those within places."""
    if not places:
        return findings

    def apart(some: Iterable[Finding]) -> tuple[Finding, ...]:
        return tuple(one for one in some if not any(start <= one.start and one.end <= end for start, end in places))

    return findings._replace(places=apart(findings.places), reported=apart(findings.reported))


def name(finding: Finding) -> str:
    """What a refusal tells the caller: the rule, with what it is about, or the author's name of a pattern or a list."""
    if finding.rule in TELLING:
        return f"{finding.rule}: {finding.kind}"
    return finding.kind if finding.rule in {patterns.RULE, phrases.RULE} else finding.rule


def mask(text: str, places: Iterable[Finding], vault: Vault | None = None) -> str:
    """The text with every finding's label in its place; the findings are in order and apart."""
    pieces, end = [], 0
    for finding in places:
        label = vault.placeholder(finding, text) if vault and finding.unmask else finding.label
        pieces += [text[end : finding.start], label]
        end = finding.end
    return "".join([*pieces, text[end:]])


def count(places: Iterable[Finding]) -> Counter[tuple[str, str, str]]:
    """Findings by rule, kind and action."""
    return Counter((finding.rule, finding.kind, finding.action.value) for finding in places)


def _found(check: Check, form: Form) -> Iterable[Finding]:
    found = check.find(form.text)
    return found if form.places is None and form.piece is None else map(form.back, found)


def _place(error: Exception) -> str:
    """Where in our own code an error was raised: its message could repeat the text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"


def _apart(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings that overlap become one that covers them all, so that no rest of a shorter one is left."""
    kept: list[Finding] = []
    for one in found:
        if kept and one.start < kept[-1].end:
            kept[-1] = _joined(kept[-1], one)
        else:
            kept.append(one)
    return tuple(kept)


def _joined(first: Finding, second: Finding) -> Finding:
    """Both places under the name of the one with the stronger action, else of the longer one, else of the first.

    What one of them masks for good does not come back because another would have it back.
    """
    better = max((first, second), key=lambda one: (STRENGTH[one.action], one.end - one.start, one is first))
    unmask = all(one.unmask for one in (first, second) if one.action is better.action)
    return better._replace(start=first.start, end=max(first.end, second.end), unmask=unmask)
