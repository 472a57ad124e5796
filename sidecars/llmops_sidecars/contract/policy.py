"""The guard's rules, as data."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from llmops_sidecars.contract.checks import CheckRule
from llmops_sidecars.contract.rule import Action, OnError, RuleModel


class PiiEntity(StrEnum):
    """Kinds of personal data that the `pii` rule knows."""

    EMAIL = "Email"
    PHONE = "Phone"
    CREDIT_CARD = "CreditCard"
    IBAN = "IBAN"
    IP_ADDRESS = "IPAddress"


class PiiRule(RuleModel, frozen=True, tag="pii"):
    """Personal data of the given kinds."""

    entities: tuple[PiiEntity, ...] = tuple(PiiEntity)
    action: Action = Action.MASK


class SecretsRule(RuleModel, frozen=True, tag="secrets"):
    """Keys and tokens of known shapes, private keys, passwords in connection strings."""

    action: Action = Action.BLOCK


class Pattern(Struct, frozen=True, forbid_unknown_fields=True):
    """One expression of an author, in RE2's syntax; `name` is what a refusal tells the caller."""

    name: str
    expression: str
    action: Action = Action.BLOCK


class PatternsRule(RuleModel, frozen=True, tag="patterns"):
    """Expressions of the policy's author."""

    patterns: tuple[Pattern, ...]


Rule = CheckRule | PatternsRule | PiiRule | SecretsRule


class StreamWindow(Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a streamed answer is held back until it has been checked: characters, and seconds at most."""

    hold_back_characters: int = 256
    hold_back_seconds: float = 0.25


class Consent(Struct, frozen=True, forbid_unknown_fields=True):
    """What says that a caller agrees: a header of the request, or a claim of its access token.

    `required`: a request without it is refused; otherwise it is only recorded.
    """

    header: str | None = None
    claim: str | None = None
    required: bool = True


class AuditText(StrEnum):
    """Whether audit records hold texts, and how."""

    NEVER = "Never"
    MASKED = "Masked"


class Audit(Struct, frozen=True, forbid_unknown_fields=True):
    """What is written for auditors. `verdicts`: a record of each request."""

    verdicts: bool = True
    text: AuditText = AuditText.NEVER


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """The rules for prompts (`input`) and for answers (`output`), in the order in which they run."""

    name: str = ""
    version: str = ""
    on_error: OnError = OnError.CLOSED
    input: tuple[Rule, ...] = ()
    output: tuple[Rule, ...] = ()
    stream: StreamWindow = StreamWindow()
    consent: Consent | None = None
    audit: Audit | None = None
