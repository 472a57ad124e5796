"""The benchmark engine: it answers without a model, so that what remains is the path.

The text says what it is, so that nobody takes it for a model's, and is the same for every request.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator

from llmops_sidecars.contract import BenchmarkEngine
from llmops_sidecars.engine.choices import side_by_side
from llmops_sidecars.engine.driver import EmbedRequest, GenerateRequest, Piece, Vectors
from llmops_sidecars.engine.interfaces.interface import require_plain_text
from llmops_sidecars.openai.errors import no_embeddings

WORDS = ("This", " is", " the", " benchmark", " engine", ",", " not", " a", " model", ".", " ")


class BenchmarkDriver:
    """The driver."""

    def __init__(self, settings: BenchmarkEngine) -> None:
        self._settings = settings

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        """Made-up text, a word per token."""
        return side_by_side(self._one, request)

    async def embed(self, _request: EmbedRequest) -> Vectors:
        """There are none."""
        raise no_embeddings()

    async def probe(self) -> None:
        """It is always there."""

    async def close(self) -> None:
        """Nothing is open."""

    async def _one(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        require_plain_text(request.chat)
        tokens = request.tokens_or(self._settings.tokens)
        count = min(tokens, self._settings.tokens)
        loop = asyncio.get_running_loop()
        due = loop.time() + self._settings.first_token_seconds
        for word in itertools.islice(itertools.cycle(WORDS), count):
            await asyncio.sleep(max(due - loop.time(), 0))
            due += self._settings.inter_token_seconds
            yield Piece(word, 1)
        yield Piece(finish_reason="length" if count < self._settings.tokens else "stop")
