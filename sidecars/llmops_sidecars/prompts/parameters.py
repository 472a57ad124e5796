"""The inference parameters of a request with a template: the caller's where it may say them, else the template's."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from llmops_sidecars.contract import AllowedParameter, Parameter, Parameters, Template
from llmops_sidecars.openai.chat import ChatRequest
from llmops_sidecars.openai.errors import ApiError, invalid_request
from llmops_sidecars.prompts.values import number_text

Said = float | str | tuple[str, ...]


def with_parameters(request: ChatRequest, template: Template) -> ChatRequest:
    """The request, with the template's parameters where it says nothing.

    Raises ApiError (400) that names the parameter, when the caller may not change it, or not as far.
    """
    if template.parameters.allow is not None:
        _require_allowed(request, template, template.parameters.allow)
    return _filled(request, template.parameters)


def _filled(request: ChatRequest, given: Parameters) -> ChatRequest:
    own = {name: getattr(request, name) for name in _SAME_NAME}
    filled = {name: getattr(given, name) if value is None else value for name, value in own.items()}
    return msgspec.structs.replace(
        request,
        max_tokens=given.max_tokens if request.output_tokens is None else request.max_tokens,
        stop=(given.stop or None) if request.stop is None else request.stop,
        **filled,
    )


def _require_allowed(request: ChatRequest, template: Template, allow: tuple[AllowedParameter, ...]) -> None:
    allowed = {one.name: one for one in allow}
    for name, field, value in _said(request):
        bounds = allowed.get(name)
        if bounds is None:
            may = ", ".join(one.value for one in allowed) or "none"
            message = f"{field}: prompt {template.id!r} does not let callers change it; they may change: {may}."
            raise invalid_request(message, field, "unsupported_parameter")
        if isinstance(value, int | float) and not _inside(value, bounds):
            raise _outside(template, field, bounds)


def _said(request: ChatRequest) -> Iterator[tuple[Parameter, str, Said]]:
    """What the request says: the parameter, the field that it stands in, its value."""
    for name in _SAME_NAME:
        if (value := getattr(request, name)) is not None:
            yield Parameter(name), name, value
    if request.output_tokens is not None:
        newer = request.max_completion_tokens is not None
        yield Parameter.MAX_TOKENS, "max_completion_tokens" if newer else "max_tokens", request.output_tokens
    if request.stop is not None:
        yield Parameter.STOP, "stop", request.stop


def _inside(value: float, bounds: AllowedParameter) -> bool:
    least, most = bounds.minimum, bounds.maximum
    return (least is None or value >= least) and (most is None or value <= most)


def _outside(template: Template, field: str, bounds: AllowedParameter) -> ApiError:
    least, most = (None if one is None else number_text(one) for one in (bounds.minimum, bounds.maximum))
    told = f"from {least} to {most}" if least and most else f"at least {least}" if least else f"at most {most}"
    return invalid_request(f"{field}: must be {told} with prompt {template.id!r}.", field)


_SAME_NAME = tuple(one.value for one in Parameter if one not in {Parameter.MAX_TOKENS, Parameter.STOP})
"""Parameters that a request has under the same name, in one form."""
