"""The guard's rules on what a text says, how it is written, and how long it is, as data."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

from llmops_sidecars.contract.rule import Action, RuleModel


class HarmCategory(StrEnum):
    """Kinds of harm."""

    VIOLENCE = "Violence"
    SELF_HARM = "SelfHarm"
    SEXUAL = "Sexual"
    SEXUAL_MINORS = "SexualMinors"
    HATE = "Hate"
    HARASSMENT = "Harassment"
    ILLEGAL = "Illegal"
    PROFANITY = "Profanity"


class HarmThreshold(Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of harm that is looked for, and the score from 0 to 1 from which on it is found."""

    category: HarmCategory
    threshold: Annotated[float, Meta(gt=0, le=1)] = 0.5


class HarmRule(RuleModel, frozen=True, tag="harm"):
    """Texts that harm, by category."""

    categories: tuple[HarmThreshold, ...] = tuple(map(HarmThreshold, HarmCategory))
    action: Action = Action.BLOCK


class InjectionModel(Struct, frozen=True, forbid_unknown_fields=True):
    """A classifier that the policy brings along: an ONNX file with `tokenizer.json` and `config.json` beside it.

    `labels`: those of the model that mean an attack; all but its first one when there are none.
    """

    path: str
    labels: tuple[str, ...] = ()


class InjectionRule(RuleModel, frozen=True, tag="injection"):
    """Text that tries to take over the model: by the classifier that ships with the guard, or by a `model` instead.

    `threshold`: the score, from 0 to 1, from which a text is taken for an attack.
    """

    threshold: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    model: InjectionModel | None = None
    action: Action = Action.BLOCK


class JsonSchemaRule(RuleModel, frozen=True, tag="jsonSchema"):
    """An answer that is no JSON, or not of this schema."""

    document: dict[str, Any]
    action: Action = Action.BLOCK


class LanguageRule(RuleModel, frozen=True, tag="language"):
    """Languages that may be used, by their codes (ISO 639-1).

    `confidence`: from 0 to 1, how sure it must be of another one; `minimum_characters`: letters below which nothing is
    said.
    """

    allowed: Annotated[tuple[str, ...], Meta(min_length=1)]
    confidence: Annotated[float, Meta(gt=0, le=1)] = 0.8
    minimum_characters: Annotated[int, Meta(ge=1)] = 40
    action: Action = Action.BLOCK


class LimitsRule(RuleModel, frozen=True, tag="limits"):
    """How much a request may hold; what is None is not limited. Tokens are those of the tokenizer in a file."""

    messages: Annotated[int, Meta(ge=1)] | None = None
    characters: Annotated[int, Meta(ge=1)] | None = None
    tokens: Annotated[int, Meta(ge=1)] | None = None
    tokenizer_file: str | None = None
    action: Action = Action.BLOCK


class PromptLeakRule(RuleModel, frozen=True, tag="promptLeak"):
    """The instructions of a request, repeated in its answer: `letters` in a row, whatever stands between them."""

    letters: int = 40
    action: Action = Action.BLOCK


class SpecialTokensRule(RuleModel, frozen=True, tag="specialTokens"):
    """Special tokens of chat templates in what callers write; `tokens`: further ones, of the model that is served."""

    tokens: tuple[str, ...] = ()
    action: Action = Action.MASK


class Topic(Struct, frozen=True, forbid_unknown_fields=True):
    """What people may talk about. `threshold`: how near is near, from 0 to 1; the rule knows it when there is none."""

    name: str
    examples: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    threshold: Annotated[float, Meta(gt=0, le=1)] | None = None


class TopicsRule(RuleModel, frozen=True, tag="topics"):
    """What the user talks about: of `allowed` topics if there are any, and of no `denied` one."""

    allowed: tuple[Topic, ...] = ()
    denied: tuple[Topic, ...] = ()
    action: Action = Action.BLOCK


class UnicodeKind(StrEnum):
    """Ways to write what people do not see as it is."""

    INVISIBLE = "Invisible"
    BIDIRECTIONAL = "Bidirectional"
    TAGS = "Tags"
    LOOK_ALIKES = "LookAlikes"
    MARKS = "Marks"


class UnicodeRule(RuleModel, frozen=True, tag="unicode"):
    """Characters that hide, reorder or fake text."""

    kinds: tuple[UnicodeKind, ...] = tuple(UnicodeKind)
    action: Action = Action.BLOCK


class UrlKind(StrEnum):
    """What may be wrong with a URL beside its domain."""

    SCHEME = "Scheme"
    ADDRESS = "Address"
    LOOK_ALIKE = "LookAlike"
    USER_INFO = "UserInfo"
    IMAGE = "Image"
    DATA = "Data"


class UrlsRule(RuleModel, frozen=True, tag="urls"):
    """Where links lead. `allow`: the only domains, when there are any; `*.` in front of one means those below it.

    `schemes`: all that are good. `kinds`: what else is looked for.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ("http", "https", "mailto")
    kinds: tuple[UrlKind, ...] = tuple(UrlKind)
    action: Action = Action.MASK


class WebhookRule(RuleModel, frozen=True, tag="webhook"):
    """A service that judges texts, at a URL, within so many seconds.

    What is in the files is read for each question: a bearer token, a key for signatures, certificates of authorities
    that are believed instead of the system's. `action`: the strongest that an answer may ask for.
    """

    url: str
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 2.0
    token_file: str | None = None
    key_file: str | None = None
    authorities_file: str | None = None
    action: Action = Action.BLOCK


CheckRule = (
    HarmRule
    | InjectionRule
    | JsonSchemaRule
    | LanguageRule
    | LimitsRule
    | PromptLeakRule
    | SpecialTokensRule
    | TopicsRule
    | UnicodeRule
    | UrlsRule
    | WebhookRule
)
