"""The clock over an answer: its first piece, each next one, and all of it must come in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from llmops_sidecars.contract import Limits
from llmops_sidecars.engine.driver import Piece
from llmops_sidecars.openai.errors import ApiError, engine_timeout
from llmops_sidecars.proxy.deadline import Deadline


async def within_limits(pieces: AsyncGenerator[Piece], limits: Limits) -> AsyncGenerator[Piece]:
    """The pieces, as long as they come in time; raises ApiError (`engine_timeout`) and cancels the generation."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limits.request_seconds
    awaited, allowed = "its first token", limits.first_token_seconds
    async with contextlib.aclosing(pieces):
        while True:
            try:
                with Deadline(min(end - loop.time(), allowed)):
                    piece = await anext(pieces, None)
            except TimeoutError as error:
                raise _overdue(awaited, allowed, limits, ended=loop.time() >= end) from error
            if piece is None:
                return
            yield piece
            awaited, allowed = "its next token", limits.inter_token_seconds


def _overdue(awaited: str, allowed: float, limits: Limits, *, ended: bool) -> ApiError:
    return (
        engine_timeout("the end of its answer", limits.request_seconds) if ended else engine_timeout(awaited, allowed)
    )
