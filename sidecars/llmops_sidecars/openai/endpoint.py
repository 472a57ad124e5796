"""What an endpoint that generates is to the guard: two pure translations.

in:   a body -> a `Call`: what is asked, as chat requests, the one form that is checked, remembered and generated
out:  the guarded answer -> the endpoint's events, or its document
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from llmops_sidecars.openai.answers import ChunkChoice, Usage
from llmops_sidecars.openai.assembly import Assembly
from llmops_sidecars.openai.chat import ChatRequest
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.openai.terms import Terms


class Head(Struct, frozen=True):
    """What every event and document of an answer repeats; `created` is in Unix seconds."""

    request_id: str
    created: int
    model: str


class Writer(Protocol):
    """Writes one streamed answer; each method gives whole events."""

    def begin(self) -> bytes:
        """The events before any text."""

    def more(self, choices: Sequence[ChunkChoice]) -> bytes:
        """The events for what choices grow by; one that has ended says why."""

    def end(self, usage: Usage) -> bytes:
        """The events after the ends of all choices."""

    def fail(self, error: ApiError) -> bytes:
        """The events that end the answer with an error."""


class Call(Protocol):
    """One request of an endpoint."""

    @property
    def requests(self) -> Sequence[ChatRequest]:
        """What is asked, at least one, for the same model; the choices of their answers are numbered through."""

    @property
    def terms(self) -> Terms:
        """What is demanded of each answer."""

    @property
    def streams(self) -> bool:
        """Whether the client wants events."""

    @property
    def default_tokens(self) -> int | None:
        """The most tokens of an answer when neither request nor template says it; None leaves it to the engine."""

    def writer(self, head: Head) -> Writer:
        """A writer for the answer as events."""

    def document(self, head: Head, answer: Assembly) -> bytes:
        """The answer in one piece; raises ApiError for one that is not complete."""


class Endpoint(Protocol):
    """One path of the API that generates."""

    def read(self, body: bytes) -> Call:
        """Read a request; raises ApiError (400) that says which field is wrong and how."""
