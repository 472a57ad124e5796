"""`GuardPolicy`: rules for prompts and answers."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator
from pydantic.alias_generators import to_snake

from llmops_operator.api.common import Conditions, Duration, Model, SecretKey, chosen
from llmops_operator.api.injection import Injection
from llmops_operator.api.judging import (
    Audit,
    Consent,
    ErrorHandling,
    Harm,
    JsonSchema,
    Languages,
    PromptLeak,
    SpecialTokens,
    TextLimits,
    Topics,
    Unicode,
    Urls,
    Webhook,
)
from llmops_operator.api.matching import MatchAction, NamedPattern, Phrases, Pii, PiiAction, Secrets
from llmops_operator.api.rules import Unique, rules, seconds_between

RULES = (
    "harm",
    "injection",
    "jsonSchema",
    "language",
    "limits",
    "patterns",
    "phrases",
    "pii",
    "promptLeak",
    "secrets",
    "specialTokens",
    "topics",
    "unicode",
    "urls",
    "webhook",
)
"""Kinds of rules, as users name them."""

ONE_RULE = f"give exactly one of {', '.join(RULES)}"
NO_KEY = "the action Hash needs a key: name a Secret in hashKeySecretRef"
NO_WAY_BACK = "unmask is for input: what is masked in an answer has nowhere to come back to"
PROMPTS_ONLY = "injection, limits, specialTokens and topics are for input: they look at requests"
ANSWERS_ONLY = "promptLeak and jsonSchema are for output: they look at answers"


class PolicyRule(Model):
    """One rule: exactly one of the kinds."""

    model_config = rules((f"[{', '.join(f'has(self.{one})' for one in RULES)}].filter(x, x).size() == 1", ONE_RULE))

    harm: Harm | None = Field(default=None, description="Texts that harm, by category.")
    injection: Injection | None = Field(default=None, description="Texts that try to take over the model; input only.")
    json_schema: JsonSchema | None = Field(default=None, description="Answers that are JSON of a schema; output only.")
    language: Languages | None = Field(default=None, description="Languages that may be used.")
    limits: TextLimits | None = Field(default=None, description="How much a request may hold; input only.")
    patterns: Annotated[list[NamedPattern], Field(min_length=1, max_length=100), Unique("name")] | None = Field(
        default=None, description="Expressions of your own."
    )
    phrases: Phrases | None = Field(default=None, description="Phrases of your own.")
    pii: Pii | None = Field(default=None, description="Personal data.")
    prompt_leak: PromptLeak | None = Field(
        default=None, description="Answers that repeat the instructions of the request; output only."
    )
    secrets: Secrets | None = Field(default=None, description="Keys, tokens and passwords.")
    special_tokens: SpecialTokens | None = Field(
        default=None, description="Special tokens of chat templates in what callers write; input only."
    )
    topics: Topics | None = Field(default=None, description="What the user talks about; input only.")
    unicode: Unicode | None = Field(default=None, description="Characters that hide, reorder or fake text.")
    urls: Urls | None = Field(default=None, description="Where links lead.")
    webhook: Webhook | None = Field(default=None, description="A service of your own that judges texts.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(chosen(self, *map(to_snake, RULES))) != 1:
            raise ValueError(ONE_RULE)
        return self

    @property
    def hashes(self) -> bool:
        """Whether a finding of it may be hashed."""
        actions = [one.action for one in (self.pii, self.secrets, self.phrases) if one is not None]
        return bool({PiiAction.HASH, MatchAction.HASH} & {*actions, *(one.action for one in self.patterns or ())})


class Stream(Model):
    """How much of a streamed answer is held back until it has been checked."""

    hold_back_characters: StrictInt = Field(default=256, ge=16, le=4096, description="At most so many characters.")
    hold_back_time: Annotated[Duration, seconds_between("10ms", "10s")] = Field(
        default="250ms", description="At most so long, once it is known to be harmless; 10ms to 10s."
    )


def _no_rule(direction: str, condition: str) -> str:
    """In CEL: no rule of a direction fulfils the condition on `r`."""
    return f"(!has(self.{direction}) || !self.{direction}.exists(r, {condition}))"


HASHES = (
    "(has(r.pii) && r.pii.action == 'Hash') || (has(r.secrets) && r.secrets.action == 'Hash')"
    " || (has(r.phrases) && r.phrases.action == 'Hash')"
    " || (has(r.patterns) && r.patterns.exists(p, p.action == 'Hash'))"
)


class GuardPolicySpec(Model):
    """Rules for prompts and answers, in the order in which they run."""

    model_config = rules(
        (f"has(self.hashKeySecretRef) || ({_no_rule('input', HASHES)} && {_no_rule('output', HASHES)})", NO_KEY),
        (_no_rule("output", "has(r.pii) && r.pii.unmask"), NO_WAY_BACK),
        (
            _no_rule("output", "has(r.injection) || has(r.limits) || has(r.specialTokens) || has(r.topics)"),
            PROMPTS_ONLY,
        ),
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
    hash_key_secret_ref: SecretKey | None = Field(
        default=None, description="The key for the action Hash, at least 16 bytes; another key needs new pods."
    )
    consent: Consent | None = Field(default=None, description="What says that a caller agrees.")
    audit: Audit | None = Field(default=None, description="What is written for auditors; nothing when left out.")

    @model_validator(mode="after")
    def _can_hash(self) -> Self:
        if self.hash_key_secret_ref is None and any(rule.hashes for rule in (*self.input, *self.output)):
            raise ValueError(NO_KEY)
        return self

    @model_validator(mode="after")
    def _unmasks_prompts(self) -> Self:
        if any(rule.pii is not None and rule.pii.unmask for rule in self.output):
            raise ValueError(NO_WAY_BACK)
        return self

    @model_validator(mode="after")
    def _rules_are_where_they_look(self) -> Self:
        if any(chosen(rule, "injection", "limits", "special_tokens", "topics") for rule in self.output):
            raise ValueError(PROMPTS_ONLY)
        if any(chosen(rule, "prompt_leak", "json_schema") for rule in self.input):
            raise ValueError(ANSWERS_ONLY)
        return self


class GuardPolicyStatus(Model):
    """What is."""

    observed_generation: int = Field(default=0, ge=0, description="The generation that this speaks about.")
    version: str = Field(default="", max_length=64, description="The digest of the content.")
    conditions: Conditions = Field(default_factory=list, description="What is well and what is not.")
