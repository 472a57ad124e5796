"""What is wrong with a PromptTemplate that can be read: what neither its schema nor its models can say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from llmops_operator.api import PromptTemplateSpec
from llmops_operator.api.prompttemplate import TemplateToolCall

SLOT = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
"""As the guard reads it."""


def template_problem(spec: PromptTemplateSpec) -> str | None:
    """What its author has to mend: the first thing found."""
    return next(_problems(spec), None)


def _problems(spec: PromptTemplateSpec) -> Iterator[str]:
    yield from _unfilled(spec)
    yield from _unused(spec)
    yield from _calls(spec)


def _texts(spec: PromptTemplateSpec) -> Iterator[tuple[str, str]]:
    """Every text with slots, and where it stands."""
    for place, message in enumerate(spec.messages):
        yield f"spec.messages[{place}]", message.content or ""
    for place, example in enumerate(spec.examples):
        yield f"spec.examples[{place}].user", example.user
        yield f"spec.examples[{place}].assistant", example.assistant


def _unfilled(spec: PromptTemplateSpec) -> Iterator[str]:
    known = {variable.name for variable in spec.variables}
    for where, text in _texts(spec):
        for name in SLOT.findall(text):
            if name not in known:
                yield f"{where}: {{{{ {name} }}}} has no entry in spec.variables; add one or correct it"


def _unused(spec: PromptTemplateSpec) -> Iterator[str]:
    used = {name for _, text in _texts(spec) for name in SLOT.findall(text)}
    for variable in spec.variables:
        if variable.name not in used:
            slot = f"{{{{ {variable.name} }}}}"
            yield f"spec.variables: {variable.name} stands in no message; put {slot} somewhere or take it out"


def _calls(spec: PromptTemplateSpec) -> Iterator[str]:
    """Calls that cannot be read, and answers to none: providers refuse a conversation with either."""
    called: set[str] = set()
    for place, message in enumerate(spec.messages):
        for call in message.tool_calls or ():
            called.add(call.id)
            if (problem := _call_problem(call)) is not None:
                yield f"spec.messages[{place}].toolCalls {call.id}: {problem}"
        if message.tool_call_id is not None and message.tool_call_id not in called:
            yield f"spec.messages[{place}].toolCallId: no message before it has a call {message.tool_call_id}"


def _call_problem(call: TemplateToolCall) -> str | None:
    if SLOT.search(call.arguments):
        return "slots are not filled in arguments; put them into a message"
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = None
    return None if isinstance(arguments, dict) else "arguments must be a JSON object"
