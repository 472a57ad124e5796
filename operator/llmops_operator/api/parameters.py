"""The inference parameters of a `PromptTemplate`: defaults, and what callers may change."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator

from llmops_operator.api.common import DecimalText, Model, SignedDecimalText
from llmops_operator.api.rules import Unique, number_between, number_up_to, rules, share

BOUNDS_CROSS = "minimum is above maximum"
NO_NUMBER = "stop has no minimum and no maximum"

Penalty = Annotated[SignedDecimalText, number_between(-2, 2)]


class ParameterName(StrEnum):
    """What callers may change."""

    TEMPERATURE = "temperature"
    TOP_P = "topP"
    MAX_TOKENS = "maxTokens"
    STOP = "stop"
    SEED = "seed"
    PRESENCE_PENALTY = "presencePenalty"
    FREQUENCY_PENALTY = "frequencyPenalty"


class AllowedParameter(Model):
    """A parameter that a request may say itself."""

    model_config = rules(
        ("self.name != 'stop' || !(has(self.minimum) || has(self.maximum))", NO_NUMBER),
        ("!has(self.minimum) || !has(self.maximum) || double(self.minimum) <= double(self.maximum)", BOUNDS_CROSS),
    )

    name: ParameterName = Field(description="The parameter.")
    minimum: SignedDecimalText | None = Field(default=None, description='The least value, as text, such as "0.1".')
    maximum: SignedDecimalText | None = Field(default=None, description='The highest value, as text, such as "1".')

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.name is ParameterName.STOP and (self.minimum is not None or self.maximum is not None):
            raise ValueError(NO_NUMBER)
        if self.minimum is not None and self.maximum is not None and Decimal(self.minimum) > Decimal(self.maximum):
            raise ValueError(BOUNDS_CROSS)
        return self


class InferenceParameters(Model):
    """Defaults for the model, and what callers may say in their place."""

    temperature: Annotated[DecimalText, number_up_to(2)] | None = Field(
        default=None, description='How freely tokens are chosen: a number from 0 to 2, as text, such as "0.2".'
    )
    top_p: Annotated[DecimalText, share()] | None = Field(
        default=None, description='The share of probability that tokens are chosen from, as text, such as "0.9".'
    )
    max_tokens: StrictInt | None = Field(default=None, ge=1, le=1_000_000, description="The longest answer, in tokens.")
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=4)] = Field(
        default_factory=list, description="Texts that end an answer."
    )
    seed: StrictInt | None = Field(
        default=None, ge=0, le=2**53 - 1, description="For engines that can repeat an answer: where chance begins."
    )
    presence_penalty: Penalty | None = Field(
        default=None, description='How much words that are there already are avoided, from "-2" to "2".'
    )
    frequency_penalty: Penalty | None = Field(
        default=None, description='How much words are avoided for each time that they are there, from "-2" to "2".'
    )
    allow: Annotated[list[AllowedParameter], Field(max_length=len(ParameterName)), Unique("name")] | None = Field(
        default=None,
        description="What a request may say itself, and within which bounds; everything when left out, nothing when "
        "empty.",
    )
