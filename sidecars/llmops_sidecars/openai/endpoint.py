"""What an endpoint is to the guard: two pure translations.

in:   a body -> a `Call`: what is asked, as chat requests, the one form that is checked, remembered and generated
out:  the guarded answer -> the endpoint's events, or its document
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from llmops_sidecars.openai.answers import Delta, Usage
from llmops_sidecars.openai.assembly import Assembly
from llmops_sidecars.openai.chat import ChatRequest


class Head(Struct, frozen=True):
    """What every event and document of an answer repeats; `created` is in Unix seconds."""

    request_id: str
    created: int
    model: str


class Writer(Protocol):
    """Writes one streamed answer; each method gives whole events."""

    def begin(self) -> bytes:
        """The events before any text."""

    def more(self, deltas: Sequence[Delta]) -> bytes:
        """The events for what the answer grows by."""

    def end(self, finish_reason: str, usage: Usage) -> bytes:
        """The events that end the answer."""


class Call(Protocol):
    """One request of an endpoint."""

    @property
    def request(self) -> ChatRequest:
        """What is asked."""

    @property
    def streams(self) -> bool:
        """Whether the client wants events."""

    def writer(self, head: Head) -> Writer:
        """A writer for the answer as events."""

    def document(self, head: Head, answer: Assembly) -> bytes:
        """The answer in one piece; raises ApiError for one that is not complete."""


class Endpoint(Protocol):
    """One path of the API that generates."""

    def read(self, body: bytes) -> Call:
        """Read a request; raises ApiError (400) that says which field is wrong and how."""
