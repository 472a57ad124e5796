"""What the resources share: the base model, bounded texts, quantities and durations, references."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from llmops_operator.api.rules import Unique
from llmops_operator.api.units import DURATION_PATTERN, QUANTITY_PATTERN

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
OBJECT_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
DECIMAL_PATTERN = r"^[0-9]+(\.[0-9]+)?$"
SIGNED_DECIMAL_PATTERN = r"^-?[0-9]+(\.[0-9]+)?$"


class Model(BaseModel):
    """Base of everything that users write: camelCase outside, unknown fields refused, frozen."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


def chosen(model: Model, *fields: str) -> list[str]:
    """Which of these fields are set, under their outside names."""
    return [to_camel(field) for field in fields if getattr(model, field) is not None]


Name = Annotated[str, Field(pattern=NAME_PATTERN, min_length=1, max_length=63)]
"""The name of an object of our own kinds."""

ObjectName = Annotated[str, Field(pattern=OBJECT_NAME_PATTERN, min_length=1, max_length=253)]
"""The name of a Secret or a PersistentVolumeClaim."""

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
"""A name as programs have it: letters, digits and underscores."""

Quantity = Annotated[str, Field(pattern=QUANTITY_PATTERN, max_length=20)]
"""An amount in Kubernetes' form."""

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=20)]
"""A time in Kubernetes' form."""

DecimalText = Annotated[str, Field(pattern=DECIMAL_PATTERN, max_length=12)]
"""A decimal number as text: the API has no floats."""

SignedDecimalText = Annotated[str, Field(pattern=SIGNED_DECIMAL_PATTERN, max_length=20)]
"""The same, which may be below zero."""

Image = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$")]
"""A container image's reference; a digest is better than a tag."""


class ObjectReference(Model):
    """An object of the same namespace."""

    name: Name = Field(description="Its name.")


class SecretKey(Model):
    """One key of a Secret of the same namespace."""

    name: ObjectName = Field(description="The Secret's name.")
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)] = Field(description="The key in it.")


AuthorsName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9_]*$", max_length=63)]
"""A name that a policy's author gives and callers are told."""


class ConfigMapKey(Model):
    """One key of a ConfigMap of the same namespace."""

    name: ObjectName = Field(description="The ConfigMap's name.")
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)] = Field(description="The key in it.")


class Condition(Model):
    """One condition of a status, as Kubernetes' `metav1.Condition`."""

    type: str = Field(max_length=63, description="What it is about.")
    status: Annotated[str, Field(json_schema_extra={"enum": ["True", "False", "Unknown"]})] = Field(
        max_length=7, description="True, False or Unknown."
    )
    reason: str = Field(max_length=128, description="Why, in one word for programs.")
    message: str = Field(max_length=4096, description="Why, and what to do, for people.")
    last_transition_time: str = Field(
        max_length=64, description="When the status last changed.", json_schema_extra={"format": "date-time"}
    )
    observed_generation: int = Field(default=0, ge=0, description="The generation that it speaks about.")


Conditions = Annotated[list[Condition], Field(max_length=16), Unique("type")]
"""The conditions of a status, one of each type."""
