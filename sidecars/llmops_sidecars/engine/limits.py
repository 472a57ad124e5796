"""The clock over an answer: its first piece, each next one, and all of it must come in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from llmops_sidecars.contract import Limits
from llmops_sidecars.engine.driver import Piece
from llmops_sidecars.openai.errors import ApiError, engine_timeout


async def within_limits(pieces: AsyncGenerator[Piece], limits: Limits) -> AsyncGenerator[Piece]:
    """The pieces, as long as they come in time; raises ApiError (`engine_timeout`) and cancels the generation."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limits.request_seconds
    allowed, overdue = limits.first_token_seconds, engine_timeout("its first token", limits.first_token_seconds)
    async with contextlib.aclosing(pieces):
        while True:
            try:
                async with asyncio.timeout_at(min(end, loop.time() + allowed)):
                    piece = await anext(pieces, None)
            except TimeoutError as error:
                raise _which(overdue, limits, ended=loop.time() >= end) from error
            if piece is None:
                return
            yield piece
            allowed, overdue = limits.inter_token_seconds, engine_timeout("its next token", limits.inter_token_seconds)


def _which(overdue: ApiError, limits: Limits, *, ended: bool) -> ApiError:
    return engine_timeout("the end of its answer", limits.request_seconds) if ended else overdue
