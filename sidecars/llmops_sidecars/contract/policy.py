"""The guard's rules, as data."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Action(StrEnum):
    """What happens to a request or an answer in which a rule finds something; from weak to strong."""

    REPORT = "Report"
    GENERALISE = "Generalise"
    HASH = "Hash"
    MASK = "Mask"
    BLOCK = "Block"


class OnError(StrEnum):
    """What happens when a rule cannot run: refuse the text, or let it pass and count it."""

    CLOSED = "Closed"
    OPEN = "Open"


class RuleModel(Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", kw_only=True):
    """What all rules have. `on_error`: the policy's when there is none."""

    on_error: OnError | None = None


class PiiEntity(StrEnum):
    """Kinds of personal data that the `pii` rule knows."""

    EMAIL = "Email"
    PHONE = "Phone"
    CREDIT_CARD = "CreditCard"
    IBAN = "IBAN"
    NATIONAL_ID = "NationalId"
    IP_ADDRESS = "IPAddress"
    MAC_ADDRESS = "MACAddress"
    CRYPTO_ADDRESS = "CryptoAddress"
    DATE_OF_BIRTH = "DateOfBirth"
    POSTAL_ADDRESS = "PostalAddress"
    AGE = "Age"


IDENTIFYING = tuple(entity for entity in PiiEntity if entity is not PiiEntity.AGE)
"""What is looked for when a rule names no kinds: an age alone points to nobody."""


class Country(StrEnum):
    """Countries, by their ISO 3166 codes, whose national ids and telephone numbers the `pii` rule knows."""

    AR, AT, AU, BE, BG, BR, CA, CH, CL, CN = "AR", "AT", "AU", "BE", "BG", "BR", "CA", "CH", "CL", "CN"
    CZ, DE, DK, EE, ES, FI, FR, GB, GR, HK = "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HK"
    HR, HU, ID, IE, IL, IN, IS, IT, JP, KR = "HR", "HU", "ID", "IE", "IL", "IN", "IS", "IT", "JP", "KR"
    LT, LV, MX, MY, NL, NO, PK, PL, PT, RO = "LT", "LV", "MX", "MY", "NL", "NO", "PK", "PL", "PT", "RO"
    RS, RU, SE, SG, SI, SK, TH, TR, TW, UA = "RS", "RU", "SE", "SG", "SI", "SK", "TH", "TR", "TW", "UA"
    US, ZA = "US", "ZA"


class PiiRule(RuleModel, frozen=True, tag="pii"):
    """Personal data of the given kinds.

    `unmask`: what is masked in a prompt comes back in its answer. `countries`: whose national ids and telephone numbers
    count; all that are known when there are none.
    """

    entities: tuple[PiiEntity, ...] = IDENTIFYING
    action: Action = Action.MASK
    unmask: bool = False
    countries: tuple[Country, ...] = ()


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


Rule = PiiRule | SecretsRule | PatternsRule


class StreamWindow(Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a streamed answer is held back until it has been checked: characters, and seconds at most."""

    hold_back_characters: int = 256
    hold_back_seconds: float = 0.25


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """The rules for prompts (`input`) and for answers (`output`), in the order in which they run."""

    name: str = ""
    version: str = ""
    on_error: OnError = OnError.CLOSED
    input: tuple[Rule, ...] = ()
    output: tuple[Rule, ...] = ()
    stream: StreamWindow = StreamWindow()
