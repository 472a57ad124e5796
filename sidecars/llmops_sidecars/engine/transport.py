"""What both ways to Triton do alike, each under its own protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from llmops_sidecars.engine.answer import Response
from llmops_sidecars.engine.tensors import Input, Signature

MAX_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True)
class Call:
    """A request to one model, with inputs that it knows; `id` names it for a later stop request."""

    model: Signature
    id: str
    inputs: tuple[Input, ...]


class Transport(Protocol):
    """A way to one Triton. It connects when it is used and again after `close`.

    All raise ApiError for what Triton answers with, EngineUnavailableError when it has not begun to answer.
    """

    async def signature(self, model: str) -> Signature:
        """What a model takes."""

    def responses(self, call: Call) -> AsyncGenerator[Response]:
        """The responses of a decoupled model until its last one; raises ApiError too when the stream was cut.

        Leaving the iterator cancels the request.
        """

    async def numbers(self, call: Call, output: str) -> tuple[float, ...]:
        """One output of a model that answers once."""

    async def close(self) -> None:
        """Close connections."""
