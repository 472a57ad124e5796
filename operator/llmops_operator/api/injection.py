"""The rule `injection` of a `GuardPolicy`."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from llmops_operator.api.brought import BroughtModel, Labels, Threshold
from llmops_operator.api.common import Model


class InjectionAction(StrEnum):
    """What a finding does; from weak to strong."""

    REPORT = "Report"
    BLOCK = "Block"


class InjectionModel(BroughtModel):
    """A classifier in ONNX's form; `tokenizer.json` and `config.json` stand beside it. Another place needs new pods."""

    labels: Labels = Field(
        default_factory=list, description="The model's names of attacks; all but its first one when left out."
    )


class Injection(Model):
    """Texts that try to take over the model, in prompts."""

    action: InjectionAction = Field(default=InjectionAction.BLOCK, description="What a finding does.")
    threshold: Threshold = Field(
        default="0.5", description="The score from which a text is an attack; lower finds more, and errs more."
    )
    model: InjectionModel | None = Field(
        default=None, description="A classifier of your own, instead of the one that the guard has."
    )
