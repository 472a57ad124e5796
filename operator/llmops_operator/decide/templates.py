"""What is wrong with a PromptTemplate, alone and with what it includes: what neither schema nor models can say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from llmops_operator.api import PromptTemplateSpec
from llmops_operator.api.prompttemplate import TemplateToolCall
from llmops_operator.desired.templates import IncludeError, Specs, order, resolved
from llmops_operator.world import Invalid, Resource

SLOT = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
"""As the guard reads it."""


Templates = Mapping[str, Resource[PromptTemplateSpec]]
"""By name, those that are included among them."""


@dataclass(frozen=True)
class Problem:
    """What an author has to mend; `missing`: it is enough that somebody creates what is named."""

    message: str
    missing: bool = False


def template_problem(name: str, templates: Templates) -> Problem | None:
    """What is wrong with a template, or with one that it includes: the first thing found."""
    specs = readable(templates)
    try:
        parts = order(name, specs)
    except IncludeError as error:
        return _unresolved(name, error, templates)
    for part in parts:
        found = next(_problems(part, specs), None)
        if found is not None:
            return Problem(found if part == name else _of_included(part, found))
    return None


def readable(templates: Templates) -> dict[str, PromptTemplateSpec]:
    """The specs of those that can be read."""
    return {name: one.spec for name, one in templates.items() if not isinstance(one.spec, Invalid)}


def _unresolved(name: str, error: IncludeError, templates: Templates) -> Problem:
    wrong = templates.get(error.missing)
    if wrong is None or not isinstance(wrong.spec, Invalid):
        return Problem(str(error), missing=bool(error.missing))
    reason = wrong.spec.reason
    return Problem(reason if error.missing == name else _of_included(error.missing, reason))


def _of_included(name: str, problem: str) -> str:
    return f"correct {name}, which is included: {problem}"


def _problems(name: str, specs: Specs) -> Iterator[str]:
    """Of what a template says itself; what it includes counts where slots and variables are matched."""
    spec = specs[name]
    try:
        whole = resolved(name, specs)
    except IncludeError as error:
        yield str(error)
        return
    yield from _unfilled(spec, whole)
    yield from _unused(spec, whole)
    yield from _calls(spec)


def _texts(spec: PromptTemplateSpec) -> Iterator[tuple[str, str]]:
    """Every text with slots, and where it stands."""
    for place, message in enumerate(spec.messages):
        yield f"spec.messages[{place}]", message.content or ""
    for place, example in enumerate(spec.examples):
        yield f"spec.examples[{place}].user", example.user
        yield f"spec.examples[{place}].assistant", example.assistant


def _unfilled(spec: PromptTemplateSpec, whole: PromptTemplateSpec) -> Iterator[str]:
    known = {variable.name for variable in whole.variables}
    for where, text in _texts(spec):
        for name in SLOT.findall(text):
            if name not in known:
                yield f"{where}: {{{{ {name} }}}} has no entry in spec.variables; add one or correct it"


def _unused(spec: PromptTemplateSpec, whole: PromptTemplateSpec) -> Iterator[str]:
    used = {name for _, text in _texts(whole) for name in SLOT.findall(text)}
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
