"""What a request demands of its answer: its form, and which tools may be called, with what.

An answer that is not what was asked for ends with an error, on a stream with the last event: it is never passed off as
one that is. An answer that was cut short (`length`, `content_filter`) is told as such and not held against anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from llmops_sidecars.openai.errors import answer_not_conforming, engine_failed
from llmops_sidecars.openai.schemas import Schema

MOST_CHARACTERS = 4 * 1024 * 1024
"""Of an answer that has a form to conform to."""

CUT_SHORT = frozenset({"length", "content_filter"})


@dataclass(frozen=True)
class Terms:
    """The demands. `offered`: the functions that may be called, each with what strict arguments have to conform to."""

    offered: Mapping[str, Schema | None] = field(default_factory=dict)
    call_required: bool = False
    one_call: bool = False
    json_object: bool = False
    schema: Schema | None = None

    @property
    def any(self) -> bool:
        """Whether what is said has to be kept until it is whole."""
        return bool(self.offered) or self.call_required or self.json_object or self.schema is not None

    def require_offered(self, name: str) -> None:
        """Refuse the call of a function that was not offered; raises ApiError."""
        if name not in self.offered:
            raise answer_not_conforming("it calls a function that was not offered, or not allowed")

    def conclude(self, said: Said, finish_reason: str) -> None:
        """Hold a whole choice against the demands; raises ApiError."""
        if finish_reason in CUT_SHORT:
            return
        for name, arguments in said.calls.values():
            self._require_arguments(name, "".join(arguments))
        if said.refused:
            return
        if self.call_required and not said.calls:
            raise answer_not_conforming("it calls no function, and tool_choice requires a call")
        if self.one_call and len(said.calls) > 1:
            raise answer_not_conforming("it calls several functions, and parallel_tool_calls is false")
        text = "".join(said.texts)
        if text or not said.calls:
            self._require_form(text)

    def _require_arguments(self, name: str, arguments: str) -> None:
        value = _decoded(arguments or "{}", "the arguments of a call are no valid JSON")
        if not isinstance(value, dict):
            raise answer_not_conforming("the arguments of a call are no JSON object")
        schema = self.offered.get(name)
        mismatch = schema.mismatch(value) if schema else None
        if mismatch is not None:
            raise answer_not_conforming(
                f"the arguments of a call do not conform to the function's parameters: {mismatch}"
            )

    def _require_form(self, text: str) -> None:
        if not self.json_object and self.schema is None:
            return
        value = _decoded(text, "it is no valid JSON, which response_format asks for")
        if self.json_object and not isinstance(value, dict):
            raise answer_not_conforming("it is no JSON object, which response_format asks for")
        mismatch = self.schema.mismatch(value) if self.schema else None
        if mismatch is not None:
            raise answer_not_conforming(f"it does not conform to the schema in response_format: {mismatch}")


class Said:
    """What a choice has said so far, as its client gets it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: dict[int, tuple[str, list[str]]] = {}
        self.refused = False
        self._characters = 0

    def text(self, text: str) -> None:
        """More content; raises ApiError when it is too much."""
        self._require_room(text)
        self.texts.append(text)

    def call(self, number: int, name: str) -> None:
        """A call begins."""
        self.calls[number] = name, []

    def argue(self, number: int, arguments: str) -> None:
        """More arguments of a call; raises ApiError when it is too much."""
        self._require_room(arguments)
        self.calls[number][1].append(arguments)

    def refuse(self) -> None:
        """The model refuses to answer."""
        self.refused = True

    def _require_room(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > MOST_CHARACTERS:
            raise engine_failed("The model's answer is too long to be held against what was asked for.")


def _decoded(text: str, otherwise: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise answer_not_conforming(otherwise) from error
