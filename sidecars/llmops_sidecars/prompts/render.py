"""Rendering a template: every `{{ name }}` becomes the variable's value, once. There is no language to inject into.

Values are data: they are put in after the template has been cut at its slots, so braces in a value mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from llmops_sidecars.contract import Message, Template, Variable, VariableType
from llmops_sidecars.openai.errors import ApiError, invalid_request

SLOT = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
"""A slot; it runs on the author's text only, and cannot backtrack."""

MOST_CHARACTERS = 1_000_000
"""The longest rendered prompt."""

Value = str | int | float | bool


def render(template: Template, values: Mapping[str, Value]) -> tuple[Message, ...]:
    """The template's messages with the values in them; raises ApiError (400) that names template and variable."""
    _require_known(template, values)
    texts = {variable.name: _text(template, variable, values) for variable in template.variables}
    messages = tuple(Message(message.role, _filled(message.content, texts)) for message in template.messages)
    if sum(len(message.content) for message in messages) > MOST_CHARACTERS:
        raise invalid_request(f"prompt {template.id!r}: longer than {MOST_CHARACTERS} characters.", "prompt")
    return messages


def _require_known(template: Template, values: Mapping[str, Value]) -> None:
    known = {variable.name for variable in template.variables}
    surplus = sorted(values.keys() - known)
    if surplus:
        has = f"it has {', '.join(sorted(known))}" if known else "it has none"
        raise _wrong(template, surplus[0], f"the template has no such variable; {has}", "unknown_variable")


def _text(template: Template, variable: Variable, values: Mapping[str, Value]) -> str:
    """The value as it stands in the prompt."""
    if variable.name not in values:
        if variable.required:
            raise _wrong(template, variable.name, "this variable is required", "missing_variable")
        return variable.default or ""
    value = values[variable.name]
    if not _fits(value, variable.type):
        raise _wrong(template, variable.name, f"must be of type {variable.type.value}", "invalid_variable")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if len(text) > variable.max_length:
        raise _wrong(template, variable.name, f"longer than {variable.max_length} characters", "invalid_variable")
    return text


def _fits(value: Value, kind: VariableType) -> bool:
    if isinstance(value, bool):
        return kind is VariableType.BOOLEAN
    accepted: dict[VariableType, type | tuple[type, ...]] = {
        VariableType.STRING: str,
        VariableType.INTEGER: int,
        VariableType.NUMBER: (int, float),
        VariableType.BOOLEAN: bool,
    }
    return isinstance(value, accepted[kind])


def _filled(content: str, texts: Mapping[str, str]) -> str:
    """Slots of unknown names stay as they are: the operator refuses such a template before it gets here."""
    return SLOT.sub(lambda slot: texts.get(slot[1], slot[0]), content)


def _wrong(template: Template, name: str, what: str, code: str) -> ApiError:
    return invalid_request(f"prompt {template.id!r}, variable {name!r}: {what}.", f"prompt.variables.{name}", code)
