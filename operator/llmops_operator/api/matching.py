"""Rules of a `GuardPolicy` on what stands in a text: personal data, secrets, phrases, patterns."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

import re2
from pydantic import Field, model_validator

from llmops_operator.api.brought import BroughtModel, Labels, Threshold
from llmops_operator.api.common import AuthorsName, ConfigMapKey, Model, chosen
from llmops_operator.api.rules import FieldRule, Unique, rules
from llmops_sidecars.contract import IDENTIFYING, MOST_PHRASE_CHARACTERS, Country, PiiEntity

QUIET = re2.Options()
QUIET.log_errors = False  # or the library writes to stderr by itself
UNREADABLE = "must be a regular expression in RE2's syntax, which has no look-around and no back-references"
UNMASKING = "unmask needs the action Mask: nothing else is put back"
NO_MODEL = "PersonName needs a model that marks names of persons: name its ONNX file in model"
NO_NAMES = "a model is for PersonName alone: name PersonName in entities, or leave the model out"
ONE_LIST = "give exactly one of inline, configMapRef"


class MatchAction(StrEnum):
    """What a finding does; from weak to strong."""

    REPORT = "Report"
    HASH = "Hash"
    MASK = "Mask"
    BLOCK = "Block"


class PiiAction(StrEnum):
    """What a finding of personal data does; from weak to strong."""

    REPORT = "Report"
    GENERALISE = "Generalise"
    HASH = "Hash"
    MASK = "Mask"
    BLOCK = "Block"


class NamesModel(BroughtModel):
    """A model that marks tokens of names, in ONNX's form; `tokenizer.json` and `config.json` stand beside it.

    Another place needs new pods.
    """

    labels: Labels = Field(
        default_factory=list,
        description="The model's names of persons, with or without B- and I-; the usual ones when left out.",
    )
    threshold: Threshold = Field(
        default="0.5", description="The probability from which a word is a name; lower finds more, and errs more."
    )


class Pii(Model):
    """Personal data."""

    model_config = rules(
        ("!self.unmask || self.action == 'Mask'", UNMASKING),
        ("!has(self.entities) || !('PersonName' in self.entities) || has(self.model)", NO_MODEL),
        ("!has(self.model) || (has(self.entities) && 'PersonName' in self.entities)", NO_NAMES),
    )

    entities: Annotated[list[PiiEntity], Field(min_length=1, max_length=16), Unique()] = Field(
        default_factory=lambda: list[PiiEntity](IDENTIFYING),
        description="Which kinds; all but Age and PersonName when left out.",
    )
    countries: Annotated[list[Country], Field(max_length=64), Unique()] = Field(
        default_factory=list, description="Whose national ids and telephone numbers count; all when left out."
    )
    action: PiiAction = Field(default=PiiAction.MASK, description="What a finding does.")
    unmask: bool = Field(default=False, description="What is masked in a prompt comes back in its answer.")
    model: NamesModel | None = Field(default=None, description="A model of your own that finds names of persons.")

    @model_validator(mode="after")
    def _masks_what_comes_back(self) -> Self:
        if self.unmask and self.action is not PiiAction.MASK:
            raise ValueError(UNMASKING)
        return self

    @model_validator(mode="after")
    def _has_a_model_for_names(self) -> Self:
        named = PiiEntity.PERSON_NAME in self.entities
        if named != (self.model is not None):
            raise ValueError(NO_MODEL if named else NO_NAMES)
        return self


class Secrets(Model):
    """Keys and tokens of known shapes, private keys, passwords, and what looks random beside a word for such things."""

    action: MatchAction = Field(default=MatchAction.BLOCK, description="What a finding does.")


class Phrases(Model):
    """Literal phrases of your own, in any case: here, or in a ConfigMap, one a line."""

    model_config = rules(("[has(self.inline), has(self.configMapRef)].filter(x, x).size() == 1", ONE_LIST))

    name: AuthorsName = Field(default="phrases", description="What a refusal tells the caller.")
    inline: (
        Annotated[
            list[Annotated[str, Field(pattern=r"\S", max_length=MOST_PHRASE_CHARACTERS)]],
            Field(min_length=1, max_length=1000),
        ]
        | None
    ) = Field(default=None, description="The phrases.")
    config_map_ref: ConfigMapKey | None = Field(default=None, description="Where more of them stand, up to 512 KiB.")
    whole_words: bool = Field(default=True, description="Whether parts of longer words do not count.")
    action: MatchAction = Field(default=MatchAction.BLOCK, description="What a finding does.")

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if len(chosen(self, "inline", "config_map_ref")) != 1:
            raise ValueError(ONE_LIST)
        return self


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

    name: AuthorsName = Field(description="What a refusal tells the caller.")
    expression: Expression = Field(description="A regular expression in RE2's syntax; (?i) ignores case.")
    action: MatchAction = Field(default=MatchAction.BLOCK, description="What a finding does.")
