"""What a PromptTemplate comes to: includes are resolved, then examples placed. What is left knows of neither.

Templates are given by name, those that are included among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from llmops_operator.api import PromptTemplateSpec
from llmops_operator.api.prompttemplate import Role, TemplateExample, TemplateMessage
from llmops_operator.api.variables import TemplateVariable

Specs = Mapping[str, PromptTemplateSpec]

DEEPEST = 8
"""Templates in a chain of includes: deeper ones nobody can follow."""

INSTRUCTING = frozenset({Role.SYSTEM, Role.DEVELOPER})


class IncludeError(ValueError):
    """Includes that cannot be resolved; the message says what to do. `missing`: the template that is not there."""

    def __init__(self, message: str, missing: str = "") -> None:
        super().__init__(message)
        self.missing = missing


def resolved(name: str, specs: Specs) -> PromptTemplateSpec:
    """The template with its includes in it; raises IncludeError.

    What is included comes first, in the order of the includes, each template once.
    """
    spec = specs[name]
    if not spec.includes:
        return spec
    parts = order(name, specs)
    return spec.model_copy(
        update={
            "includes": [],
            "messages": _joined([specs[part].messages for part in parts]),
            "examples": [example for part in parts for example in specs[part].examples],
            "variables": _variables(parts, specs),
        }
    )


def order(name: str, specs: Specs) -> list[str]:
    """The names of a template and of all that it includes, itself last; raises IncludeError."""
    found: dict[str, None] = {}
    _visit(name, specs, (), found)
    return list(found)


def placed(spec: PromptTemplateSpec) -> list[TemplateMessage]:
    """All messages: the examples stand before the last user message, or after all where there is none."""
    users = [place for place, message in enumerate(spec.messages) if message.role is Role.USER]
    place = users[-1] if users else len(spec.messages)
    shown = [message for example in spec.examples for message in _example(example)]
    return [*spec.messages[:place], *shown, *spec.messages[place:]]


def _visit(name: str, specs: Specs, above: tuple[str, ...], found: dict[str, None]) -> None:
    chain = " > ".join((*above, name))
    if name in above:
        raise IncludeError(f"spec.includes go round in a circle: {chain}; take one of them out")
    if len(above) >= DEEPEST:
        raise IncludeError(f"spec.includes are more than {DEEPEST} deep: {chain}; include what is below directly")
    if name not in specs:
        raise IncludeError(f"spec.includes: create the PromptTemplate {name} in this namespace ({chain})", name)
    if name in found:
        return
    for include in specs[name].includes:
        _visit(include.name, specs, (*above, name), found)
    found[name] = None


def _joined(parts: Sequence[Sequence[TemplateMessage]]) -> list[TemplateMessage]:
    """The messages of all parts; instructions that follow others are one message, as many models take only one."""
    joined: list[TemplateMessage] = []
    for part in parts:
        first = part[0]
        if joined and joined[-1].role is first.role and first.role in INSTRUCTING:
            content = f"{joined[-1].content}\n\n{first.content}"
            joined[-1:] = [first.model_copy(update={"content": content}), *part[1:]]
        else:
            joined += part
    return joined


def _variables(parts: Sequence[str], specs: Specs) -> list[TemplateVariable]:
    """One variable of each name: that of the template which includes the others that have it; raises IncludeError."""
    names = dict.fromkeys(variable.name for part in parts for variable in specs[part].variables)
    return [_variable(name, list(_declared(name, parts, specs)), specs) for name in names]


def _declared(name: str, parts: Sequence[str], specs: Specs) -> Iterator[tuple[str, TemplateVariable]]:
    return ((part, one) for part in parts for one in specs[part].variables if one.name == name)


def _variable(name: str, declared: Sequence[tuple[str, TemplateVariable]], specs: Specs) -> TemplateVariable:
    last, chosen = declared[-1]
    below = order(last, specs)
    for part, variable in declared:
        if variable != chosen and part not in below:
            raise IncludeError(
                f"spec.variables: {part} and {last}, which are included, have different variables {name}; "
                "declare it here, or make them the same"
            )
    return chosen


def _example(example: TemplateExample) -> tuple[TemplateMessage, TemplateMessage]:
    return (
        TemplateMessage(role=Role.USER, content=example.user),
        TemplateMessage(role=Role.ASSISTANT, content=example.assistant),
    )
