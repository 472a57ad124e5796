"""`GuardPolicy`: rules for prompts and answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

import re2
from pydantic import Field, model_validator

from llmops_operator.api.common import CONDITIONS, Condition, Duration, Model, chosen, rules

ONE_RULE = "give exactly one of pii, secrets, patterns"
QUIET = re2.Options()
QUIET.log_errors = False  # or the library writes to stderr by itself
UNREADABLE = "expression is not a regular expression in RE2's syntax"


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

    entities: Annotated[list[PiiKind], Field(min_length=1, max_length=16)] = Field(
        default_factory=lambda: list(PiiKind), description="Which kinds; all when left out."
    )
    action: RuleAction = Field(default=RuleAction.MASK, description="What a finding does.")


class Secrets(Model):
    """Keys and tokens of known shapes, private keys, passwords in connection strings."""

    action: RuleAction = Field(default=RuleAction.BLOCK, description="What a finding does.")


class NamedPattern(Model):
    """One expression of your own."""

    model_config = rules(("''.matches(self.expression) || !''.matches(self.expression)", UNREADABLE))

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9_]*$", max_length=63)] = Field(
        description="What a refusal tells the caller."
    )
    expression: Annotated[str, Field(min_length=1, max_length=1024)] = Field(description="A regular expression, RE2.")
    action: RuleAction = Field(default=RuleAction.BLOCK, description="What a finding does.")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            re2.compile(self.expression, QUIET)
        except re2.error as error:
            raise ValueError(f"{UNREADABLE}: {error}") from error
        return self


class PolicyRule(Model):
    """One rule: exactly one of the kinds."""

    model_config = rules(("[has(self.pii), has(self.secrets), has(self.patterns)].filter(x, x).size() == 1", ONE_RULE))

    pii: Pii | None = Field(default=None, description="Personal data.")
    secrets: Secrets | None = Field(default=None, description="Keys, tokens and passwords.")
    patterns: Annotated[list[NamedPattern], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Expressions of your own."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(chosen(self, "pii", "secrets", "patterns")) != 1:
            raise ValueError(ONE_RULE)
        return self


class Stream(Model):
    """How much of a streamed answer is held back until it has been checked."""

    hold_back_characters: int = Field(default=256, ge=16, le=4096, description="At most so many characters.")
    hold_back_time: Duration = Field(default="250ms", description="At most so long, once it is known to be harmless.")


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
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(
        default_factory=list, description="What is well and what is not.", json_schema_extra=CONDITIONS
    )
