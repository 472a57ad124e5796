"""From a request that names a template to one that holds its messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from llmops_sidecars.contract import Message as TemplateMessage
from llmops_sidecars.contract import Template
from llmops_sidecars.guard.neutralising import Neutraliser
from llmops_sidecars.guard.record import Record
from llmops_sidecars.guard.rules.finding import INPUT
from llmops_sidecars.guard.serving import Served
from llmops_sidecars.guard.verdict import count
from llmops_sidecars.openai.chat import ChatRequest, FunctionCall, Message, PromptReference, Role, ToolCall
from llmops_sidecars.openai.errors import invalid_request
from llmops_sidecars.prompts.parameters import with_parameters
from llmops_sidecars.prompts.render import render
from llmops_sidecars.prompts.values import Value
from llmops_sidecars.prompts.versions import Versions, chosen


def templated(request: ChatRequest, served: Served, record: Record) -> tuple[ChatRequest, Template | None]:
    """Put the template's messages before the request's, and its parameters where the request has none and may have.

    A request that names no template gets the default one, if there is one, with the defaults of its variables.
    The record learns which one, and what was neutralised in values.
    Raises ApiError (400) for a template or version that is not served, for wrong variables and parameters.
    """
    reference = request.prompt or _default(served)
    if reference is None:
        return request, None
    template = find_template(reference, served)
    record.prompt = f"{template.id}@{template.version}"
    rendered = tuple(map(message, filled(template, reference.variables or {}, served, record)))
    whole = msgspec.structs.replace(request, messages=rendered + request.messages, prompt=None)
    return with_parameters(whole, template), template


def filled(
    template: Template, values: Mapping[str, Value], served: Served, record: Record
) -> tuple[TemplateMessage, ...]:
    """The template's messages, with no special token in a value; raises ApiError (400)."""
    if served.special_tokens is None:
        return render(template, values)
    neutralise = Neutraliser(served.special_tokens)
    messages = render(template, values, neutralise)
    record.found(INPUT, count(neutralise.found), ())
    return messages


def _default(served: Served) -> PromptReference | None:
    name = served.configuration.default_template
    return None if name is None else PromptReference(name)


def find_template(reference: PromptReference, served: Served) -> Template:
    """The template that a reference means; raises ApiError (400)."""
    template = chosen(reference.version, served.versions.get(reference.id, Versions()))
    if template is None:
        known = ", ".join(sorted(served.templates)) or "none"
        told = f"There is no such prompt template here; there are: {known}."
        raise invalid_request(told, "prompt.id", "prompt_not_found")
    return template


def message(rendered: TemplateMessage) -> Message:
    """A rendered message, as the API has it."""
    calls = tuple(ToolCall(one.id, FunctionCall(one.name, one.arguments)) for one in rendered.tool_calls)
    return Message(
        cast("Role", rendered.role),
        content=None if calls and not rendered.content else rendered.content,
        tool_calls=calls or None,
        tool_call_id=rendered.tool_call_id,
    )
