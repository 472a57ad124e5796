"""The rule `injection` of a `GuardPolicy`."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from llmops_operator.api.common import DecimalText, Model, Quantity, chosen
from llmops_operator.api.rules import FieldRule, Unique, amount_between, rules
from llmops_operator.api.sources import ImageSource, RelativePath, VolumeSource

ONE_PLACE = "give exactly one of volume, image"
NOT_BETWEEN = "must be a number between 0 and 1, neither of them, such as 0.5"


class InjectionAction(StrEnum):
    """What a finding does; from weak to strong."""

    REPORT = "Report"
    BLOCK = "Block"


class InjectionModel(Model):
    """A classifier in ONNX's form; `tokenizer.json` and `config.json` stand beside it. Another place needs new pods."""

    model_config = rules(("[has(self.volume), has(self.image)].filter(x, x).size() == 1", ONE_PLACE))

    volume: VolumeSource | None = Field(default=None, description="A directory of a volume.")
    image: ImageSource | None = Field(default=None, description="An image volume.")
    file: RelativePath = Field(default="model.onnx", description="The ONNX file in it.")
    labels: Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=64), Unique()] = (
        Field(default_factory=list, description="The model's names of attacks; all but its first one when left out.")
    )
    memory: Annotated[Quantity, amount_between("64Mi", "64Gi")] = Field(
        default="1Gi", description="What the guard gets for it, beside its own memory."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if len(chosen(self, "volume", "image")) != 1:
            raise ValueError(ONE_PLACE)
        return self


class Injection(Model):
    """Texts that try to take over the model, in prompts."""

    action: InjectionAction = Field(default=InjectionAction.BLOCK, description="What a finding does.")
    threshold: Annotated[
        DecimalText,
        FieldRule("double(self) > 0.0 && double(self) < 1.0", lambda text: 0 < Decimal(text) < 1, NOT_BETWEEN),
    ] = Field(default="0.5", description="The score from which a text is an attack; lower finds more, and errs more.")
    model: InjectionModel | None = Field(
        default=None, description="A classifier of your own, instead of the one that the guard has."
    )
