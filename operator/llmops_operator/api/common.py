"""What the resources share: the base model, bounded texts, quantities and durations, references."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"
DECIMAL_PATTERN = r"^[0-9]+(\.[0-9]+)?$"

_DURATION_PART = re.compile(r"([0-9.]+)(ms|s|m|h)")
_QUANTITY = re.compile(r"([0-9.]+)([a-zA-Z]*)")
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_FACTORS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGT", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGT", start=1)},
}


class Model(BaseModel):
    """Base of everything that users write: camelCase outside, unknown fields refused, frozen."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


def rules(*pairs: tuple[str, str]) -> ConfigDict:
    """The model configuration that carries CEL rules, each with the message for a person, into the schema."""
    entries: list[JsonValue] = [{"rule": rule, "message": message} for rule, message in pairs]
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": entries})


def chosen(model: Model, *fields: str) -> list[str]:
    """Which of these fields are set, under their outside names."""
    return [to_camel(field) for field in fields if getattr(model, field) is not None]


def to_seconds(duration: str) -> float:
    """Seconds of a duration such as 250ms, 10s or 1h30m."""
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(duration)))


def to_number(quantity: str) -> Decimal:
    """The number that a quantity such as 500m, 8 or 64Gi stands for; raises ValueError for anything else."""
    found = _QUANTITY.fullmatch(quantity)
    if found is None or found[2] not in _FACTORS:
        raise ValueError(f"{quantity!r} is not a quantity such as 500m, 8 or 64Gi")
    return Decimal(found[1]) * _FACTORS[found[2]]


def to_bytes(quantity: str) -> int:
    """Bytes of a quantity such as 256Mi."""
    return int(to_number(quantity))


Name = Annotated[str, Field(pattern=NAME_PATTERN, min_length=1, max_length=63)]
"""A name as Kubernetes' objects have it."""

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
"""A name as programs have it: letters, digits and underscores."""

Quantity = Annotated[str, Field(pattern=QUANTITY_PATTERN, max_length=20)]
"""An amount in Kubernetes' form."""

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=20)]
"""A time in Kubernetes' form."""

DecimalText = Annotated[str, Field(pattern=DECIMAL_PATTERN, max_length=12)]
"""A decimal number as text: the API has no floats."""

Image = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$")]
"""A container image's reference; a digest is better than a tag."""


class ObjectReference(Model):
    """An object of the same namespace."""

    name: Name = Field(description="Its name.")


class SecretKey(Model):
    """One key of a Secret of the same namespace."""

    name: Name = Field(description="The Secret's name.")
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


CONDITIONS: dict[str, JsonValue] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
"""How a list of conditions merges."""
