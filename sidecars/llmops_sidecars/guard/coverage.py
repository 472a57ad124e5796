"""Which texts of a request the rules see: all of them.

Every string in what is forwarded is read: contents and their parts, refusals, names, tool calls with their arguments,
tool definitions, stop words, response formats. Nothing has to be remembered when the request's shape grows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from llmops_sidecars.openai.chat import ChatRequest, Message, Tool


class _Spoken(Struct, frozen=True, omit_defaults=True):
    """The fields of a request that hold text of the caller."""

    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    stop: str | tuple[str, ...] | None = None


def checked(request: ChatRequest, check: Callable[[str], str]) -> ChatRequest:
    """The request with every text replaced by what `check` returns for it; an exception of `check` passes through."""
    before = msgspec.to_builtins({name: getattr(request, name) for name in _Spoken.__struct_fields__})
    after = _mapped(before, check)
    if after == before:
        return request
    spoken = msgspec.convert(after, _Spoken)
    return msgspec.structs.replace(request, **{name: getattr(spoken, name) for name in _Spoken.__struct_fields__})


def _mapped(value: Any, check: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return check(value)
    if isinstance(value, dict):
        return {check(key): _mapped(item, check) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, check) for item in value]
    return value
