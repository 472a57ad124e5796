"""A caller's value, held against its variable, as the text that stands in the prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from llmops_sidecars.contract import Variable, VariableType

Value = str | int | float | bool | Sequence[str]
"""What a request may give: a text, a number, a truth, or a list of texts."""


class ValueProblem(ValueError):  # noqa: N818 - it is told to callers as what it is
    """A value that its variable does not take; the message says what the variable wants, never the value."""


def text_of(variable: Variable, value: Value) -> str:
    """The value's text: numbers and booleans as in JSON, a list with its separator. Raises ValueProblem."""
    if not _fits(value, variable.type):
        raise ValueProblem(f"must be of type {variable.type.value}{_hint(variable)}")
    return _TEXTS[variable.type](variable, value)


def default_of(variable: Variable) -> str:
    """What stands in the prompt when a request gives no value."""
    if variable.type is VariableType.LIST:
        return variable.separator.join(variable.default_items)
    return variable.default or ""


def number_text(number: float) -> str:
    """A bound, as people write it."""
    return str(int(number)) if float(number).is_integer() else str(number)


def _fits(value: Value, kind: VariableType) -> bool:
    """Whether a value is of a type; in Python, not in JSON, a boolean is also a number, and a text a sequence."""
    if kind is VariableType.LIST:
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    return isinstance(value, _PYTHON_TYPES[kind]) and isinstance(value, bool) == (kind is VariableType.BOOLEAN)


def _hint(variable: Variable) -> str:
    return " of texts" if variable.type is VariableType.LIST else ""


def _string(variable: Variable, value: Value) -> str:
    return _short(variable, str(value), "longer")


def _short(variable: Variable, text: str, longer: str) -> str:
    if len(text) > variable.max_length:
        raise ValueProblem(f"{longer} than {variable.max_length} characters")
    return text


def _enum(variable: Variable, value: Value) -> str:
    if value not in variable.values:
        raise ValueProblem(f"must be one of {', '.join(variable.values)}")
    return _string(variable, value)


def _scalar(variable: Variable, value: Value) -> str:
    return _short(variable, msgspec.json.encode(value).decode(), "longer")


def _number(variable: Variable, value: Value) -> str:
    least, most = variable.minimum, variable.maximum
    if isinstance(value, int | float):
        if least is not None and value < least:
            raise ValueProblem(f"must be at least {number_text(least)}")
        if most is not None and value > most:
            raise ValueProblem(f"must be at most {number_text(most)}")
    return _scalar(variable, value)


def _list(variable: Variable, value: Value) -> str:
    items = [str(item) for item in value] if isinstance(value, list | tuple) else []
    if len(items) > variable.max_items:
        raise ValueProblem(f"more than {variable.max_items} items")
    for place, item in enumerate(items, start=1):
        _short(variable, item, f"item {place} is longer")
    return variable.separator.join(items)


_PYTHON_TYPES: dict[VariableType, type | tuple[type, ...]] = {
    VariableType.STRING: str,
    VariableType.ENUM: str,
    VariableType.INTEGER: int,
    VariableType.NUMBER: (int, float),
    VariableType.BOOLEAN: bool,
}

_TEXTS: dict[VariableType, Callable[[Variable, Value], str]] = {
    VariableType.STRING: _string,
    VariableType.ENUM: _enum,
    VariableType.INTEGER: _number,
    VariableType.NUMBER: _number,
    VariableType.BOOLEAN: _scalar,
    VariableType.LIST: _list,
}
