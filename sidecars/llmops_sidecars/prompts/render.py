"""Rendering a template: every `{{ name }}` becomes the variable's value, once. There is no language to inject into.

Values are data: they are put in after the template has been cut at its slots, so braces in a value mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import msgspec

from llmops_sidecars.contract import Message, Template, Variable
from llmops_sidecars.openai.errors import ApiError, invalid_request
from llmops_sidecars.prompts.values import Value, ValueProblem, default_of, text_of

SLOT = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
"""A slot; it runs on the author's text only, and cannot backtrack."""

MOST_CHARACTERS = 1_000_000
"""The longest rendered prompt; it is counted before it is made."""

Span = tuple[int, int]
"""A place in a text, in characters from its start to before its end."""

Neutralise = Callable[[str, Sequence[Span]], str]
"""From a filled text, and where values stand in it, to the text in which nothing of a value is a special token."""


def as_it_is(text: str, _values: Sequence[Span]) -> str:
    """For texts that others neutralise."""
    return text


def render(template: Template, values: Mapping[str, Value], neutralise: Neutralise = as_it_is) -> tuple[Message, ...]:
    """The template's messages with the values in them; raises ApiError (400) that names template and variable.

    `neutralise` has the last word on every text. Numbers and booleans stand as in JSON, lists with their separator. A
    variable without value and default is the empty text.
    """
    _require_known(template, values)
    texts = {variable.name: _text(template, variable, values) for variable in template.variables}
    if sum(_length(message.content, texts) for message in template.messages) > MOST_CHARACTERS:
        raise invalid_request(f"prompt {template.id!r}: longer than {MOST_CHARACTERS} characters.", "prompt")
    contents = [neutralise(*_filled(message.content, texts)) for message in template.messages]
    whole = zip(template.messages, contents, strict=True)
    return tuple(msgspec.structs.replace(message, content=content) for message, content in whole)


def _require_known(template: Template, values: Mapping[str, Value]) -> None:
    known = {variable.name for variable in template.variables}
    surplus = sorted(values.keys() - known)
    if surplus:
        has = f"it has {', '.join(sorted(known))}" if known else "it has none"
        raise _wrong(template, _shown(surplus[0]), f"the template has no such variable; {has}", "unknown_variable")


def _text(template: Template, variable: Variable, values: Mapping[str, Value]) -> str:
    """The value as it stands in the prompt."""
    if variable.name not in values:
        if variable.required:
            raise _wrong(template, variable.name, "this variable is required", "missing_variable")
        return default_of(variable)
    try:
        return text_of(variable, values[variable.name])
    except ValueProblem as problem:
        raise _wrong(template, variable.name, str(problem), "invalid_variable") from problem


@lru_cache(maxsize=256)
def _parts(content: str) -> tuple[tuple[tuple[str, str, str], ...], str]:
    """The author's text, cut at its slots: what stands before each, its name, the slot as it is; and the rest."""
    parts: list[tuple[str, str, str]] = []
    end = 0
    for slot in SLOT.finditer(content):
        parts.append((content[end : slot.start()], slot[1], slot[0]))
        end = slot.end()
    return tuple(parts), content[end:]


def _length(content: str, texts: Mapping[str, str]) -> int:
    return len(content) + sum(len(texts.get(name, slot)) - len(slot) for _, name, slot in _parts(content)[0])


def _filled(content: str, texts: Mapping[str, str]) -> tuple[str, list[Span]]:
    """The content with values in its slots, and where they stand; slots of unknown names stay as they are."""
    parts, rest = _parts(content)
    pieces: list[str] = []
    spans: list[Span] = []
    length = 0
    for before, name, slot in parts:
        text = texts.get(name, slot)
        start = length + len(before)
        length = start + len(text)
        pieces += (before, text)
        if name in texts:
            spans.append((start, length))
    return "".join([*pieces, rest]), spans


def _shown(name: str) -> str:
    """A name that the caller made up, as far as it looks like one: an error must not repeat a text."""
    return name if re.fullmatch(r"[A-Za-z0-9_.-]{1,63}", name) else "?"


def _wrong(template: Template, name: str, what: str, code: str) -> ApiError:
    return invalid_request(f"prompt {template.id!r}, variable {name!r}: {what}.", f"prompt.variables.{name}", code)
