"""What auditors read of a request: who, when, which rules of which policy, what they found (`docs/audit.md`).

Never any text, unless the policy says so: then what the user, the template and the model said, with everything masked
that any rule finds, also where it only reports.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from llmops_sidecars.contract import Action, Audit, AuditText
from llmops_sidecars.guard.policy import CompiledPolicy, Rules
from llmops_sidecars.guard.rules.finding import INPUT, OUTPUT
from llmops_sidecars.guard.verdict import RuleError, examine, gathered, mask

VERSION = 1
"""Of the record's form."""

MOST_CHARACTERS = 8 * 1024
"""Of one text; what is longer is cut, and ends with an ellipsis."""

MOST_TEXTS = 64

_log = logging.getLogger("llmops.audit")


@dataclass
class Trail:
    """What is kept of one request until its record is written; it prints without texts."""

    policy: CompiledPolicy
    audit: Audit
    consent: bool | None = None
    said: list[str | None] = field(default_factory=list, repr=False)
    answered: list[str | None] = field(default_factory=list, repr=False)

    @property
    def keeps_texts(self) -> bool:
        """Whether the policy wants texts."""
        return self.audit.text is AuditText.MASKED

    def hear(self, texts: Iterable[str], rules: Rules) -> None:
        """Keep what was asked, as far as the policy wants it; `rules` are those for it."""
        if self.keeps_texts:
            self.said += masked(islice(texts, MOST_TEXTS - len(self.said)), rules)

    def answer(self, texts: Iterable[str], rules: Rules) -> None:
        """Keep what was answered, in the same way."""
        if self.keeps_texts:
            self.answered += masked(islice(texts, MOST_TEXTS - len(self.answered)), rules)

    def write(self, common: dict[str, Any], checked: Mapping[str, int], errors: Iterable[tuple[str, str, int]]) -> None:
        """Write the record; `common` is what the access record knows.

        `checked`: characters that were looked at, by direction; `errors`: rule, direction and number.
        """
        policy = self.policy
        line = common | {
            "schema": VERSION,
            "policy": {"name": policy.name, "version": policy.version},
            "rules": {"input": _names(policy.input), "output": _names(policy.output)},
            "checked": {direction: checked.get(direction, 0) for direction in (INPUT, OUTPUT)},
            "consent": self.consent,
            "errors": [{"rule": rule, "direction": direction, "count": count} for rule, direction, count in errors],
        }
        if self.keeps_texts:
            line["text"] = {"input": self.said, "output": self.answered}
        _log.info("verdict", extra=line)


def trail_of(policy: CompiledPolicy) -> Trail | None:
    """A trail for a request under a policy; None where nothing is to be written."""
    return Trail(policy, policy.audit) if policy.audit is not None and policy.audit.verdicts else None


def masked(texts: Iterable[str], rules: Rules) -> list[str | None]:
    """Texts for a record; None for one that could not be looked at."""
    # what judges a text as a whole would leave nothing of it
    local = Rules(tuple(check for check in rules.checks if not check.whole))
    return [_masked(text, local) for text in texts]


def _masked(text: str, rules: Rules) -> str | None:
    try:
        findings = examine(text, rules)
    except RuleError:
        return None
    if findings.errors:
        return None
    found = [one._replace(action=Action.MASK) for one in (*findings.places, *findings.reported)]
    everything = mask(text, gathered(found).places)
    return everything if len(everything) <= MOST_CHARACTERS else f"{everything[: MOST_CHARACTERS - 1]}\u2026"


def _names(rules: Rules) -> list[str]:
    return [check.rule for check in rules.checks]
