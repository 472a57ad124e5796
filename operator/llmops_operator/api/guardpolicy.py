"""`GuardPolicy`: rules for prompts and answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

import re2
from pydantic import Field, StrictInt, model_validator

from llmops_operator.api.common import Conditions, Duration, Model, chosen
from llmops_operator.api.rules import FieldRule, Unique, rules, seconds_between

ONE_RULE = "give exactly one of pii, secrets, patterns"
QUIET = re2.Options()
QUIET.log_errors = False  # or the library writes to stderr by itself
UNREADABLE = "must be a regular expression in RE2's syntax, which has no look-around and no back-references"


class RuleAction(StrEnum):
    """What a finding does."""

    BLOCK = "Block"
    MASK = "Mask"


class ErrorHandling(StrEnum):
    """What a check that cannot run does."""

    CLOSED = "Closed"
    OPEN = "Open"


class PiiKind(StrEnum):
    """Kinds of personal data."""

    EMAIL = "Email"
    PHONE = "Phone"
    CREDIT_CARD = "CreditCard"
    IBAN = "IBAN"
    IP_ADDRESS = "IPAddress"


class Pii(Model):
    """Personal data."""

    entities: Annotated[list[PiiKind], Field(min_length=1, max_length=16), Unique()] = Field(
        default_factory=lambda: list(PiiKind), description="Which kinds; all when left out."
    )
    action: RuleAction = Field(default=RuleAction.MASK, description="What a finding does.")


class Secrets(Model):
    """Keys and tokens of known shapes, private keys, passwords in connection strings."""

    action: RuleAction = Field(default=RuleAction.BLOCK, description="What a finding does.")


def _readable(expression: str) -> bool:
    """Raises ValueError with RE2's own words, which say where the trouble is."""
    try:
        re2.compile(expression, QUIET)
    except re2.error as error:
        words = error.args[0]
        raise ValueError(f"{UNREADABLE}: {words.decode() if isinstance(words, bytes) else words}") from error
    return True


Expression = Annotated[
    str,
    Field(min_length=1, max_length=1024),
    FieldRule("''.matches(self) || !''.matches(self)", _readable, UNREADABLE),
]


class NamedPattern(Model):
    """One expression of your own."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9_]*$", max_length=63)] = Field(
        description="What a refusal tells the caller."
    )
    expression: Expression = Field(description="A regular expression in RE2's syntax; (?i) ignores case.")
    action: RuleAction = Field(default=RuleAction.BLOCK, description="What a finding does.")


class PolicyRule(Model):
    """One rule: exactly one of the kinds."""

    model_config = rules(("[has(self.pii), has(self.secrets), has(self.patterns)].filter(x, x).size() == 1", ONE_RULE))

    pii: Pii | None = Field(default=None, description="Personal data.")
    secrets: Secrets | None = Field(default=None, description="Keys, tokens and passwords.")
    patterns: Annotated[list[NamedPattern], Field(min_length=1, max_length=100), Unique("name")] | None = Field(
        default=None, description="Expressions of your own."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(chosen(self, "pii", "secrets", "patterns")) != 1:
            raise ValueError(ONE_RULE)
        return self


class Stream(Model):
    """How much of a streamed answer is held back until it has been checked."""

    hold_back_characters: StrictInt = Field(default=256, ge=16, le=4096, description="At most so many characters.")
    hold_back_time: Annotated[Duration, seconds_between("10ms", "10s")] = Field(
        default="250ms", description="At most so long, once it is known to be harmless; 10ms to 10s."
    )


class GuardPolicySpec(Model):
    """Rules for prompts and answers, in the order in which they run."""

    on_error: ErrorHandling = Field(
        default=ErrorHandling.CLOSED, description="Closed: a check that cannot run refuses. Open: it is counted."
    )
    input: Annotated[list[PolicyRule], Field(max_length=32)] = Field(
        default_factory=list, description="Rules for prompts."
    )
    output: Annotated[list[PolicyRule], Field(max_length=32)] = Field(
        default_factory=list, description="Rules for answers."
    )
    stream: Stream = Field(default_factory=Stream, description="What streams hold back.")


class GuardPolicyStatus(Model):
    """What is."""

    observed_generation: int = Field(default=0, ge=0, description="The generation that this speaks about.")
    version: str = Field(default="", max_length=64, description="The digest of the content.")
    conditions: Conditions = Field(default_factory=list, description="What is well and what is not.")
