"""`GuardPolicy`: rules for prompts and answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

import re2
from pydantic import Field, StrictInt, model_validator
from pydantic.alias_generators import to_camel

from llmops_operator.api.common import Conditions, Duration, Model, chosen
from llmops_operator.api.judging import (
    Audit,
    Consent,
    Harm,
    JsonSchema,
    Languages,
    PromptLeak,
    TextLimits,
    Topics,
    Unicode,
    Urls,
    Webhook,
)
from llmops_operator.api.rules import FieldRule, Unique, rules, seconds_between

RULES = (
    "harm",
    "json_schema",
    "language",
    "limits",
    "patterns",
    "pii",
    "prompt_leak",
    "secrets",
    "topics",
    "unicode",
    "urls",
    "webhook",
)
"""Kinds of rules, as fields."""

ONE_RULE = f"give exactly one of {', '.join(map(to_camel, RULES))}"
PROMPTS_ONLY = "limits and topics are for input: they look at requests"
ANSWERS_ONLY = "promptLeak and jsonSchema are for output: they look at answers"
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

    model_config = rules(
        (f"[{', '.join(f'has(self.{to_camel(one)})' for one in RULES)}].filter(x, x).size() == 1", ONE_RULE)
    )

    harm: Harm | None = Field(default=None, description="Texts that harm, by category.")
    json_schema: JsonSchema | None = Field(default=None, description="Answers that are JSON of a schema; output only.")
    language: Languages | None = Field(default=None, description="Languages that may be used.")
    limits: TextLimits | None = Field(default=None, description="How much a request may hold; input only.")
    pii: Pii | None = Field(default=None, description="Personal data.")
    secrets: Secrets | None = Field(default=None, description="Keys, tokens and passwords.")
    patterns: Annotated[list[NamedPattern], Field(min_length=1, max_length=100), Unique("name")] | None = Field(
        default=None, description="Expressions of your own."
    )

    prompt_leak: PromptLeak | None = Field(
        default=None, description="Answers that repeat the instructions of the request; output only."
    )
    topics: Topics | None = Field(default=None, description="What the user talks about; input only.")
    unicode: Unicode | None = Field(default=None, description="Characters that hide, reorder or fake text.")
    urls: Urls | None = Field(default=None, description="Where links lead.")
    webhook: Webhook | None = Field(default=None, description="A service of your own that judges texts.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(chosen(self, *RULES)) != 1:
            raise ValueError(ONE_RULE)
        return self


class Stream(Model):
    """How much of a streamed answer is held back until it has been checked."""

    hold_back_characters: StrictInt = Field(default=256, ge=16, le=4096, description="At most so many characters.")
    hold_back_time: Annotated[Duration, seconds_between("10ms", "10s")] = Field(
        default="250ms", description="At most so long, once it is known to be harmless; 10ms to 10s."
    )


def _no_rule(direction: str, condition: str) -> str:
    """In CEL: no rule of a direction fulfils the condition on `r`."""
    return f"(!has(self.{direction}) || !self.{direction}.exists(r, {condition}))"


class GuardPolicySpec(Model):
    """Rules for prompts and answers, in the order in which they run."""

    model_config = rules(
        (_no_rule("output", "has(r.limits) || has(r.topics)"), PROMPTS_ONLY),
        (_no_rule("input", "has(r.promptLeak) || has(r.jsonSchema)"), ANSWERS_ONLY),
    )

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
    consent: Consent | None = Field(default=None, description="What says that a caller agrees.")
    audit: Audit | None = Field(default=None, description="What is written for auditors; nothing when left out.")

    @model_validator(mode="after")
    def _rules_are_where_they_look(self) -> Self:
        if any(chosen(rule, "limits", "topics") for rule in self.output):
            raise ValueError(PROMPTS_ONLY)
        if any(chosen(rule, "prompt_leak", "json_schema") for rule in self.input):
            raise ValueError(ANSWERS_ONLY)
        return self


class GuardPolicyStatus(Model):
    """What is."""

    observed_generation: int = Field(default=0, ge=0, description="The generation that this speaks about.")
    version: str = Field(default="", max_length=64, description="The digest of the content.")
    conditions: Conditions = Field(default_factory=list, description="What is well and what is not.")
