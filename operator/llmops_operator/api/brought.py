"""Models that a `GuardPolicy` brings along: where their files are, and the room that they take."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from llmops_operator.api.common import DecimalText, Model, Quantity, chosen
from llmops_operator.api.rules import FieldRule, Unique, amount_between, rules
from llmops_operator.api.sources import ImageSource, RelativePath, VolumeSource

ONE_PLACE = "give exactly one of volume, image"

Labels = Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=64), Unique()]
"""Names that a model has for what it finds."""

Threshold = Annotated[
    DecimalText,
    FieldRule(
        "double(self) > 0.0 && double(self) < 1.0",
        lambda text: 0 < Decimal(text) < 1,
        "must be a number between 0 and 1, neither of them, such as 0.5",
    ),
]


class BroughtModel(Model):
    """A model in ONNX's form; `tokenizer.json` and `config.json` stand beside it. Another place needs new pods."""

    model_config = rules(("[has(self.volume), has(self.image)].filter(x, x).size() == 1", ONE_PLACE))

    volume: VolumeSource | None = Field(default=None, description="A directory of a volume.")
    image: ImageSource | None = Field(default=None, description="An image volume.")
    file: RelativePath = Field(default="model.onnx", description="The ONNX file in it.")
    memory: Annotated[Quantity, amount_between("64Mi", "64Gi")] = Field(
        default="1Gi", description="What the guard gets for it, beside its own memory."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if len(chosen(self, "volume", "image")) != 1:
            raise ValueError(ONE_PLACE)
        return self
