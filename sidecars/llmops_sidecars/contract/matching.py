"""The guard's rules on what stands in a text: personal data, secrets, an author's phrases and patterns; as data."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from llmops_sidecars.contract.rule import Action, RuleModel


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
    PERSON_NAME = "PersonName"


IDENTIFYING = tuple(entity for entity in PiiEntity if entity not in {PiiEntity.AGE, PiiEntity.PERSON_NAME})
"""What is looked for when a rule names no kinds: an age alone points to nobody, and names need a model."""


class Country(StrEnum):
    """Countries, by their ISO 3166 codes, whose national ids and telephone numbers the `pii` rule knows."""

    AR, AT, AU, BE, BG, BR, CA, CH, CL, CN = "AR", "AT", "AU", "BE", "BG", "BR", "CA", "CH", "CL", "CN"
    CZ, DE, DK, EE, ES, FI, FR, GB, GR, HK = "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HK"
    HR, HU, ID, IE, IL, IN, IS, IT, JP, KR = "HR", "HU", "ID", "IE", "IL", "IN", "IS", "IT", "JP", "KR"
    LT, LV, MX, MY, NL, NO, PK, PL, PT, RO = "LT", "LV", "MX", "MY", "NL", "NO", "PK", "PL", "PT", "RO"
    RS, RU, SE, SG, SI, SK, TH, TR, TW, UA = "RS", "RU", "SE", "SG", "SI", "SK", "TH", "TR", "TW", "UA"
    US, ZA = "US", "ZA"


class NamesModel(Struct, frozen=True, forbid_unknown_fields=True):
    """A model that marks names of persons: an ONNX file with `tokenizer.json` and `config.json` beside it.

    `labels`: those of the model that mean a person, with or without what says where in a name a token stands (`B-`);
    the usual ones when there are none. `threshold`: the probability, from 0 to 1, from which a token is one of a name.
    """

    path: str
    labels: tuple[str, ...] = ()
    threshold: Annotated[float, Meta(gt=0, lt=1)] = 0.5


class PiiRule(RuleModel, frozen=True, omit_defaults=True, tag="pii"):
    """Personal data of the given kinds.

    `unmask`: what is masked in a prompt comes back in its answer. `countries`: whose national ids and telephone numbers
    count; all that are known when there are none. `model`: what finds names of persons.
    """

    entities: tuple[PiiEntity, ...] = IDENTIFYING
    action: Action = Action.MASK
    unmask: bool = False
    countries: tuple[Country, ...] = ()
    model: NamesModel | None = None


class SecretsRule(RuleModel, frozen=True, tag="secrets"):
    """Keys and tokens of known shapes, private keys, passwords, and what looks random beside a word for such things."""

    action: Action = Action.BLOCK


MOST_PHRASES = 50_000
MOST_PHRASE_CHARACTERS = 200
MOST_LIST_BYTES = 512 * 1024
"""Of one list: half of what a document of ours may have in all."""


def phrases_of(text: str) -> tuple[str, ...]:
    """The phrases of a list, one a line, without blank lines and those that begin with `# `; raises ValueError."""
    if len(text.encode()) > MOST_LIST_BYTES:
        raise ValueError(f"the list has {len(text.encode())} bytes, more than {MOST_LIST_BYTES}: divide or shorten it")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    found = [(number, line) for number, line in lines if line and line != "#" and not line.startswith("# ")]
    if not found:
        raise ValueError("the list has no phrase: give one a line")
    if len(found) > MOST_PHRASES:
        raise ValueError(f"the list has {len(found)} phrases, more than {MOST_PHRASES}: divide or shorten it")
    for number, line in found:
        if len(line) > MOST_PHRASE_CHARACTERS:
            raise ValueError(
                f"line {number} has {len(line)} characters, more than {MOST_PHRASE_CHARACTERS}: shorten it"
            )
    return tuple(line for _, line in found)


class PhrasesRule(RuleModel, frozen=True, omit_defaults=True, tag="phrases"):
    """Literal phrases of the policy's author, in any case; `name` is what a refusal tells the caller.

    `phrases` stand here, or one a line in a `file`. `whole_words`: nothing that belongs to a word stands beside one.
    """

    name: str = "phrases"
    phrases: tuple[str, ...] = ()
    file: str | None = None
    whole_words: bool = True
    action: Action = Action.BLOCK


class Pattern(Struct, frozen=True, forbid_unknown_fields=True):
    """One expression of an author, in RE2's syntax; `name` is what a refusal tells the caller."""

    name: str
    expression: str
    action: Action = Action.BLOCK


class PatternsRule(RuleModel, frozen=True, tag="patterns"):
    """Expressions of the policy's author."""

    patterns: tuple[Pattern, ...]
