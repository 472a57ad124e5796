"""The slots of a `PromptTemplate`: what a value must be, and what stands there when a request gives none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StrictBool, StrictInt, model_validator

from llmops_operator.api.common import Identifier, Model, SignedDecimalText
from llmops_operator.api.rules import Unique, rules

MOST_ITEMS = 64
"""Of a list whose variable says nothing of it."""

INTEGER = "-?(0|[1-9][0-9]*)"
NUMBER = f"{INTEGER}([.][0-9]+)?"

NOT_BOTH = "a required variable has no default"
DEFAULT_OF_TYPE = "the default is not of the variable's type; a list has defaultItems instead"
DEFAULT_TOO_LONG = "the default is longer than maxLength"
DEFAULT_OUTSIDE = "the default is not between minimum and maximum"
DEFAULT_ITEMS_OUTSIDE = "defaultItems are more than maxItems, or one is longer than maxLength"
ONLY_NUMBERS = "minimum and maximum are for the types number and integer"
ONLY_ENUMS = "the type enum needs values, and no other type has them"
ONLY_LISTS = "maxItems, separator and defaultItems are for the type list"
BOUNDS_CROSS = "minimum is above maximum"

_IS_NUMBER = "self.type in ['number', 'integer']"
DEFAULT_RULE = (
    "!has(self.default) || self.type == 'string' || "
    "(self.type == 'enum' && has(self.values) && self.default in self.values) || "
    "(self.type == 'boolean' && self.default in ['true', 'false']) || "
    f"(self.type == 'integer' && self.default.matches('^{INTEGER}$')) || "
    f"(self.type == 'number' && self.default.matches('^{NUMBER}$'))"
)
DEFAULT_INSIDE_RULE = (
    f"!has(self.default) || !({_IS_NUMBER}) || "
    "((!has(self.minimum) || double(self.default) >= double(self.minimum)) && "
    "(!has(self.maximum) || double(self.default) <= double(self.maximum)))"
)
DEFAULT_ITEMS_RULE = (
    f"!has(self.defaultItems) || (self.defaultItems.size() <= (has(self.maxItems) ? self.maxItems : {MOST_ITEMS}) "
    "&& self.defaultItems.all(item, item.size() <= self.maxLength))"
)

Item = Annotated[str, Field(max_length=1024)]


class TemplateVariableType(StrEnum):
    """What a value must be."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    ENUM = "enum"
    LIST = "list"


_FORMS = {
    TemplateVariableType.STRING: "(?s:.*)",
    TemplateVariableType.NUMBER: NUMBER,
    TemplateVariableType.INTEGER: INTEGER,
    TemplateVariableType.BOOLEAN: "true|false",
    TemplateVariableType.ENUM: "(?s:.*)",
    TemplateVariableType.LIST: "(?!)",
}
"""What the text of a default looks like, as JSON has it; a list has none."""

_NUMBERS = frozenset({TemplateVariableType.NUMBER, TemplateVariableType.INTEGER})


class TemplateVariable(Model):
    """One slot."""

    model_config = rules(
        ("!(self.required && (has(self.default) || has(self.defaultItems)))", NOT_BOTH),
        (f"{_IS_NUMBER} || !(has(self.minimum) || has(self.maximum))", ONLY_NUMBERS),
        ("(self.type == 'enum') == has(self.values)", ONLY_ENUMS),
        ("self.type == 'list' || !(has(self.maxItems) || has(self.separator) || has(self.defaultItems))", ONLY_LISTS),
        ("!has(self.minimum) || !has(self.maximum) || double(self.minimum) <= double(self.maximum)", BOUNDS_CROSS),
        ("!has(self.default) || self.default.size() <= self.maxLength", DEFAULT_TOO_LONG),
        (DEFAULT_RULE, DEFAULT_OF_TYPE),
        (DEFAULT_INSIDE_RULE, DEFAULT_OUTSIDE),
        (DEFAULT_ITEMS_RULE, DEFAULT_ITEMS_OUTSIDE),
    )

    name: Identifier = Field(description="Its name in {{ }} and in requests.")
    type: TemplateVariableType = Field(default=TemplateVariableType.STRING, description="What a value must be.")
    required: StrictBool = Field(default=False, description="Whether a request must give it.")
    default: Annotated[str, Field(max_length=4096)] | None = Field(
        default=None, description="The value when a request gives none; the empty text when left out."
    )
    max_length: StrictInt = Field(
        default=4000, ge=1, le=1_000_000, description="The longest value, in characters; of a list, the longest item."
    )
    minimum: SignedDecimalText | None = Field(default=None, description='The least number, as text, such as "1".')
    maximum: SignedDecimalText | None = Field(default=None, description='The highest number, as text, such as "10".')
    values: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=256)]], Field(min_length=1, max_length=64), Unique()
        ]
        | None
    ) = Field(default=None, description="All values that an enum may have.")
    max_items: StrictInt | None = Field(
        default=None, ge=1, le=1024, description=f"The most items of a list; {MOST_ITEMS} when left out."
    )
    separator: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description='What stands between the items of a list in the prompt; a comma and a space, ", ", when left out.',
    )
    default_items: Annotated[list[Item], Field(max_length=MOST_ITEMS)] | None = Field(
        default=None, description="The items of a list when a request gives none; no items when left out."
    )
    description: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="For people; callers see it in the list of prompts."
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        problem = next((message for wrong, message in self._checks() if wrong), None)
        if problem is not None:
            raise ValueError(problem)
        return self

    def _checks(self) -> Iterator[tuple[bool, str]]:
        """The rules above, in their order: whether each is broken, and its message."""
        numeric, least, most = self.type in _NUMBERS, _decimal(self.minimum), _decimal(self.maximum)
        listed = (self.max_items, self.separator, self.default_items)
        yield self.required and (self.default is not None or self.default_items is not None), NOT_BOTH
        yield not numeric and (least is not None or most is not None), ONLY_NUMBERS
        yield (self.type is TemplateVariableType.ENUM) != (self.values is not None), ONLY_ENUMS
        yield self.type is not TemplateVariableType.LIST and any(one is not None for one in listed), ONLY_LISTS
        yield least is not None and most is not None and least > most, BOUNDS_CROSS
        if self.default is not None:
            yield len(self.default) > self.max_length, DEFAULT_TOO_LONG
            yield not self._is_of_type(self.default), DEFAULT_OF_TYPE
            yield numeric and not _between(Decimal(self.default), least, most), DEFAULT_OUTSIDE
        items = self.default_items or []
        too_long = any(len(item) > self.max_length for item in items)
        yield too_long or len(items) > (self.max_items or MOST_ITEMS), DEFAULT_ITEMS_OUTSIDE

    def _is_of_type(self, default: str) -> bool:
        return bool(re.fullmatch(_FORMS[self.type], default)) and (self.values is None or default in self.values)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _between(value: Decimal, least: Decimal | None, most: Decimal | None) -> bool:
    return (least is None or least <= value) and (most is None or value <= most)
