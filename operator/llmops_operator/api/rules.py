"""Rules that one object can be judged by, each told twice: in CEL for the API server, in Python for `plan FILE`.

A rule on a whole model stands in its configuration (`rules`) and in a validator beside it; a rule on one field is a
value in the field's `Annotated`, so that both halves stand together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, JsonValue
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from llmops_operator.api.units import to_number, to_seconds

RULES = "x-kubernetes-validations"
LIST_TYPE, LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"


def rules(*pairs: tuple[str, str]) -> ConfigDict:
    """The model configuration that carries CEL rules, each with the message for a person, into the schema."""
    entries: list[JsonValue] = [{"rule": rule, "message": message} for rule, message in pairs]
    return ConfigDict(json_schema_extra={RULES: entries})


@dataclass(frozen=True)
class FieldRule:
    """A rule on one field's value: `cel` and `holds` say the same; `holds` may raise a ValueError that says more."""

    cel: str
    holds: Callable[[Any], bool]
    message: str

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(schema)
        return found | {RULES: [*found.get(RULES, []), {"rule": self.cel, "message": self.message}]}

    def _checked(self, value: Any) -> Any:
        if not self.holds(value):
            raise ValueError(self.message)
        return value


@dataclass(frozen=True)
class Unique:
    """A list without doubles: of the value itself, or of the field `key` of its items."""

    key: str | None = None

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        kind = {LIST_TYPE: "set"} if self.key is None else {LIST_TYPE: "map", LIST_KEYS: [self.key]}
        return handler(schema) | kind

    def _checked(self, items: list[Any]) -> list[Any]:
        doubles = _doubles(item if self.key is None else getattr(item, self.key) for item in items)
        if doubles:
            raise ValueError(f"must be there once: {', '.join(doubles)}")
        return items


def seconds_between(least: str, most: str) -> FieldRule:
    """A duration within bounds, both of which belong to it."""
    return FieldRule(
        f"duration(self) >= duration('{least}') && duration(self) <= duration('{most}')",
        lambda text: to_seconds(least) <= to_seconds(text) <= to_seconds(most),
        f"must be a time between {least} and {most}",
    )


def amount_between(least: str, most: str) -> FieldRule:
    """A quantity within bounds, both of which belong to it."""
    return FieldRule(
        f"quantity(self).compareTo(quantity('{least}')) >= 0 && quantity(self).compareTo(quantity('{most}')) <= 0",
        lambda text: to_number(least) <= to_number(text) <= to_number(most),
        f"must be an amount between {least} and {most}",
    )


def number_up_to(most: int) -> FieldRule:
    """A decimal number, as text, of at most so much."""
    return FieldRule(
        f"double(self) <= {most}.0",
        lambda text: Decimal(text) <= most,
        f"must be a number between 0 and {most}",
    )


def number_between(least: int, most: int) -> FieldRule:
    """A decimal number, as text, within bounds, both of which belong to it."""
    return FieldRule(
        f"double(self) >= {least}.0 && double(self) <= {most}.0",
        lambda text: least <= Decimal(text) <= most,
        f"must be a number between {least} and {most}",
    )


def share() -> FieldRule:
    """A share of a whole, as text: more than nothing, and at most all of it."""
    return FieldRule(
        "double(self) > 0.0 && double(self) <= 1.0",
        lambda text: 0 < Decimal(text) <= 1,
        "must be a share above 0 and up to 1, such as 0.9",
    )


def _doubles(values: Iterable[Any]) -> list[str]:
    seen: list[str] = [str(value) for value in values]
    return sorted({value for value in seen if seen.count(value) > 1})
