"""What is wrong with a PromptTemplate that can be read: what neither its schema nor its models can say."""

from __future__ import annotations

import re

from llmops_operator.api import PromptTemplateSpec

SLOT = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
"""As the guard reads it."""


def template_problem(spec: PromptTemplateSpec) -> str | None:
    """What its author has to mend: a slot that nothing fills, or a variable that stands nowhere."""
    known, used = {variable.name for variable in spec.variables}, set()
    for place, message in enumerate(spec.messages):
        for name in SLOT.findall(message.content):
            used.add(name)
            if name not in known:
                return f"spec.messages[{place}]: {{{{ {name} }}}} has no entry in spec.variables; add one or correct it"
    unused = next((one.name for one in spec.variables if one.name not in used), None)
    if unused is not None:
        return f"spec.variables: {unused} stands in no message; put {{{{ {unused} }}}} somewhere or take it out"
    return None
