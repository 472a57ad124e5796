"""Rules of a `GuardPolicy` on what a text says, how it is written, where it leads, and how long it is."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, JsonValue, StrictInt, model_validator

from llmops_operator.api.common import AuthorsName, ConfigMapKey, DecimalText, Duration, Model, SecretKey, chosen
from llmops_operator.api.rules import Unique, rules, seconds_between, share
from llmops_operator.api.structural import PRESERVE
from llmops_sidecars.contract import AuditText, HarmCategory, UnicodeKind, UrlKind

ANY_LIMIT = "give at least one of messages, characters, tokens"
ANY_TOPIC = "give allowed or denied topics, or both"
ANY_EXAMPLE = "give examples or keywords, or both"
ONE_AUTHORITY = "give exactly one of configMap, secret"
ONE_CONSENT = "give exactly one of header, claim"
MOST_SCHEMA_BYTES = 64 * 1024

Domain = Annotated[str, Field(pattern=r"^(\*\.)?[^\s/?#@:*]+$", min_length=1, max_length=253)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", max_length=3)]
SpecialToken = Annotated[str, Field(pattern=r"^\S+$", min_length=2, max_length=64)]
Scheme = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.\-]*$", max_length=32)]


class RefusingAction(StrEnum):
    """What a finding of a rule on whole texts does; from weak to strong."""

    REPORT = "Report"
    BLOCK = "Block"


class ReplacingAction(StrEnum):
    """What a finding at a place in a text does; from weak to strong."""

    REPORT = "Report"
    MASK = "Mask"
    BLOCK = "Block"


class ErrorHandling(StrEnum):
    """What a check that cannot run does."""

    CLOSED = "Closed"
    OPEN = "Open"


class HarmThreshold(Model):
    """A category of harm."""

    category: HarmCategory = Field(description="Which one.")
    threshold: Annotated[DecimalText, share()] = Field(
        default="0.5", description="The score from which on a text is found, as text: above 0 and up to 1."
    )


class Harm(Model):
    """Texts that harm."""

    categories: Annotated[list[HarmThreshold], Field(min_length=1, max_length=8), Unique("category")] = Field(
        default_factory=lambda: [HarmThreshold(category=one) for one in HarmCategory],
        description="Which categories, and how sensitive; all with 0.5 when left out.",
    )
    action: ReplacingAction = Field(default=ReplacingAction.BLOCK, description="What a finding does.")


class JsonSchema(Model):
    """Answers that are JSON of a schema."""

    model_config = ConfigDict(protected_namespaces=())

    document: Annotated[dict[str, JsonValue], Field(max_length=64)] = Field(
        alias="schema",
        description="A JSON schema (2020-12); a $ref points into it, nothing is fetched.",
        json_schema_extra={PRESERVE: True},
    )
    action: RefusingAction = Field(default=RefusingAction.BLOCK, description="What another answer does.")

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if len(json.dumps(self.document)) > MOST_SCHEMA_BYTES:
            raise ValueError(f"schema must not be larger than {MOST_SCHEMA_BYTES} bytes")
        return self


class Languages(Model):
    """Languages that may be used."""

    allowed: Annotated[list[Language], Field(min_length=1, max_length=80), Unique()] = Field(
        description="Their codes (ISO 639-1), such as en and de."
    )
    confidence: Annotated[DecimalText, share()] = Field(
        default="0.8", description="How sure it must be of another language, as text: above 0 and up to 1."
    )
    minimum_characters: StrictInt = Field(
        default=40, ge=1, le=10000, description="Letters below which nothing is said of a text."
    )
    action: RefusingAction = Field(default=RefusingAction.BLOCK, description="What another language does.")


class TextLimits(Model):
    """How much a request may hold; what is left out is not limited."""

    model_config = rules(("has(self.messages) || has(self.characters) || has(self.tokens)", ANY_LIMIT))

    messages: StrictInt | None = Field(default=None, ge=1, le=100000, description="Messages at most.")
    characters: StrictInt | None = Field(
        default=None, ge=1, le=100000000, description="Characters of all texts at most."
    )
    tokens: StrictInt | None = Field(
        default=None,
        ge=1,
        le=100000000,
        description="Tokens of all texts at most, by the tokenizer.json of model.source.",
    )
    action: RefusingAction = Field(default=RefusingAction.BLOCK, description="What a larger request does.")

    @model_validator(mode="after")
    def _any(self) -> Self:
        if not chosen(self, "messages", "characters", "tokens"):
            raise ValueError(ANY_LIMIT)
        return self


class PromptLeak(Model):
    """Answers that repeat the instructions of the request."""

    letters: StrictInt = Field(
        default=40, ge=16, le=400, description="Letters in a row that are a repetition, whatever stands between them."
    )
    action: ReplacingAction = Field(default=ReplacingAction.BLOCK, description="What a repetition does.")


class Topic(Model):
    """What people may talk about, by what they would say."""

    model_config = rules(("has(self.examples) || has(self.keywords)", ANY_EXAMPLE))

    name: AuthorsName = Field(description="What a refusal tells the caller.")
    examples: Annotated[list[Annotated[str, Field(min_length=1, max_length=300)]], Field(max_length=64)] = Field(
        default_factory=list, description="Phrases that people would use, the more and the more varied the better."
    )
    keywords: Annotated[list[Annotated[str, Field(min_length=1, max_length=60)]], Field(max_length=200)] = Field(
        default_factory=list, description="Words and groups of words that stand for it."
    )
    threshold: Annotated[DecimalText, share()] | None = Field(
        default=None, description="How near is near, as text, up to 1; 0.4 for denied and 0.2 for allowed topics."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.examples and not self.keywords:
            raise ValueError(ANY_EXAMPLE)
        return self


class Topics(Model):
    """What the user talks about."""

    model_config = rules(("has(self.allowed) || has(self.denied)", ANY_TOPIC))

    allowed: Annotated[list[Topic], Field(max_length=16), Unique("name")] = Field(
        default_factory=list, description="Topics one of which a conversation must be about, when there are any."
    )
    denied: Annotated[list[Topic], Field(max_length=16), Unique("name")] = Field(
        default_factory=list, description="Topics that no message may be about."
    )
    action: RefusingAction = Field(default=RefusingAction.BLOCK, description="What another topic does.")

    @model_validator(mode="after")
    def _any(self) -> Self:
        if not self.allowed and not self.denied:
            raise ValueError(ANY_TOPIC)
        return self


class SpecialTokens(Model):
    """Special tokens of chat templates."""

    tokens: Annotated[list[SpecialToken], Field(max_length=64), Unique()] = Field(
        default_factory=list, description="Further tokens, of the model that is served."
    )
    action: ReplacingAction = Field(
        default=ReplacingAction.MASK, description="What a finding does; Mask puts a space into it."
    )


class Unicode(Model):
    """Characters that hide, reorder or fake text."""

    kinds: Annotated[list[UnicodeKind], Field(min_length=1, max_length=8), Unique()] = Field(
        default_factory=lambda: list(UnicodeKind), description="Which kinds; all when left out."
    )
    action: ReplacingAction = Field(default=ReplacingAction.MASK, description="What a finding does; Mask takes it out.")


class Urls(Model):
    """Where links lead."""

    allow: Annotated[list[Domain], Field(max_length=200), Unique()] = Field(
        default_factory=list, description="The only domains, when there are any; *.example.com for those below one."
    )
    deny: Annotated[list[Domain], Field(max_length=200), Unique()] = Field(
        default_factory=list, description="Domains that are found, also where they are no links."
    )
    schemes: Annotated[list[Scheme], Field(min_length=1, max_length=16), Unique()] = Field(
        default_factory=lambda: ["http", "https", "mailto"],
        description="Schemes that may be used; http, https and mailto when left out.",
    )
    kinds: Annotated[list[UrlKind], Field(max_length=8), Unique()] = Field(
        default_factory=lambda: list(UrlKind), description="What else is looked for; all when left out."
    )
    action: ReplacingAction = Field(default=ReplacingAction.MASK, description="What a finding does.")


class CertificateAuthority(Model):
    """Certificates of authorities, in PEM."""

    model_config = rules(("[has(self.configMap), has(self.secret)].filter(x, x).size() == 1", ONE_AUTHORITY))

    config_map: ConfigMapKey | None = Field(default=None, description="In a ConfigMap.")
    secret: SecretKey | None = Field(default=None, description="In a Secret.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(chosen(self, "config_map", "secret")) != 1:
            raise ValueError(ONE_AUTHORITY)
        return self


class Webhook(Model):
    """A service of your own that judges texts."""

    url: Annotated[str, Field(max_length=1024, pattern=r"^https?://[^\s/?#@]+(/[^\s#]*)?$")] = Field(
        description="Where it is asked: https, or http for a Service of this namespace."
    )
    timeout: Annotated[Duration, seconds_between("10ms", "30s")] = Field(
        default="2s", description="How long it may take; 10ms to 30s."
    )
    on_error: ErrorHandling | None = Field(
        default=None, description="When it does not answer: Closed refuses, Open lets pass and counts; as the policy's."
    )
    token_secret_ref: SecretKey | None = Field(default=None, description="A token, sent as a bearer's.")
    signing_key_secret_ref: SecretKey | None = Field(
        default=None, description="A key for signatures (HMAC-SHA256) of what is sent."
    )
    certificate_authority: CertificateAuthority | None = Field(
        default=None, description="Who signs its certificate; the authorities of the guard's system when left out."
    )
    action: RefusingAction = Field(
        default=RefusingAction.BLOCK, description="The strongest that an answer may ask for; Report to try it out."
    )


class Consent(Model):
    """What says that a caller agrees."""

    model_config = rules(("[has(self.header), has(self.claim)].filter(x, x).size() == 1", ONE_CONSENT))

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_|~-]+$", max_length=64)] | None = Field(
        default=None, description="A header of the request: true, yes, granted or 1."
    )
    claim: Annotated[str, Field(pattern=r"^\S+$", max_length=253)] | None = Field(
        default=None, description="A claim of the caller's access token: the same, or a true boolean."
    )
    required: bool = Field(default=True, description="Refuse requests without it; otherwise it is only recorded.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(chosen(self, "header", "claim")) != 1:
            raise ValueError(ONE_CONSENT)
        return self


class Audit(Model):
    """What is written for auditors."""

    verdicts: bool = Field(
        default=True, description="A record of each request: who, when, which rules, what they found."
    )
    text: AuditText = Field(default=AuditText.NEVER, description="Masked: texts too, all that rules find masked.")
