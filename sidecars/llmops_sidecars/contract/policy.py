"""The guard's policy, as data."""

from __future__ import annotations

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType

from llmops_sidecars.contract.checks import CheckRule
from llmops_sidecars.contract.matching import PatternsRule, PhrasesRule, PiiRule, SecretsRule
from llmops_sidecars.contract.rule import OnError

Rule = CheckRule | PatternsRule | PhrasesRule | PiiRule | SecretsRule


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
    """The rules for prompts (`input`) and for answers (`output`), in the order in which they run.

    `hash_key_file` holds the key for the action Hash. A policy without it, consent or audit is written as it was before
    these were known, for sidecars of that time.
    """

    name: str = ""
    version: str = ""
    on_error: OnError = OnError.CLOSED
    input: tuple[Rule, ...] = ()
    output: tuple[Rule, ...] = ()
    stream: StreamWindow = StreamWindow()
    hash_key_file: str | UnsetType = UNSET
    consent: Consent | UnsetType = UNSET
    audit: Audit | UnsetType = UNSET
