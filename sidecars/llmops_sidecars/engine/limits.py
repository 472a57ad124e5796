"""The clock over an answer: its first piece, each next one, and all of it must come in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from llmops_sidecars.contract import Limits
from llmops_sidecars.engine.driver import Piece
from llmops_sidecars.openai.errors import engine_timeout
from llmops_sidecars.proxy.deadline import Deadline


async def within_limits(
    pieces: AsyncGenerator[Piece], limits: Limits, started: float | None = None
) -> AsyncGenerator[Piece]:
    """The pieces, as long as they come in time; raises ApiError (`engine_timeout`) and cancels the generation.

    `started` is when the request came, in the loop's time; now when it is left out.
    """
    loop = asyncio.get_running_loop()
    started = loop.time() if started is None else started
    end, due = started + limits.request_seconds, started + limits.first_token_seconds
    awaited = "its first token", limits.first_token_seconds
    async with contextlib.aclosing(pieces):
        while True:
            try:
                with Deadline(min(end, due) - loop.time()):
                    piece = await anext(pieces, None)
            except TimeoutError as error:
                ended = loop.time() >= end
                raise engine_timeout(
                    *(("the end of its answer", limits.request_seconds) if ended else awaited)
                ) from error
            if piece is None:
                return
            yield piece
            due = loop.time() + limits.inter_token_seconds
            awaited = "its next token", limits.inter_token_seconds
