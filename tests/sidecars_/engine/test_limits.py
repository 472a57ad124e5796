from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from llmops_sidecars.contract import Limits
from llmops_sidecars.engine.driver import Piece
from llmops_sidecars.engine.limits import within_limits
from llmops_sidecars.openai.errors import ApiError

NEVER = 3600.0


class Slow:
    """Pieces after these seconds each, then silence; it knows when it was cancelled."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = seconds
        self.cancelled = False

    async def __call__(self) -> AsyncGenerator[Piece]:
        try:
            for seconds in self._seconds:
                await asyncio.sleep(seconds)
                yield Piece("x", 1)
            await asyncio.Event().wait()
        finally:
            self.cancelled = True


@pytest.mark.parametrize(
    ("limits", "seconds", "pieces", "says"),
    [
        (Limits(first_token_seconds=0.05), (), 0, r"its first token within 0\.05 s"),
        (Limits(first_token_seconds=NEVER, inter_token_seconds=0.05), (0, 0), 2, r"its next token within 0\.05 s"),
        (Limits(request_seconds=0.05), (0,), 1, r"the end of its answer within 0\.05 s"),
        (Limits(request_seconds=0.05), (0.01,) * 20, None, "the end of its answer"),
        (Limits(request_seconds=0.05), (), 0, "the end of its answer"),
    ],
    ids=["no first token", "hangs", "hangs to the end", "goes on for ever", "says nothing to the end"],
)
async def test_a_slow_engine_is_given_up_and_cancelled(
    limits: Limits, seconds: tuple[float, ...], pieces: int | None, says: str
) -> None:
    source, received = Slow(*seconds), list[Piece]()
    with pytest.raises(ApiError, match=says) as caught:
        await collect(within_limits(source(), limits), received)
    assert (caught.value.status, caught.value.code) == (503, "engine_timeout")
    assert pieces is None or len(received) == pieces
    assert source.cancelled


async def test_time_in_which_nobody_asks_does_not_count() -> None:
    pieces = within_limits(Slow(0, 0)(), Limits(inter_token_seconds=0.05))
    await anext(pieces)
    await asyncio.sleep(0.1)
    assert await anext(pieces) == Piece("x", 1)
    await pieces.aclose()


async def collect(pieces: AsyncGenerator[Piece], received: list[Piece]) -> None:
    async for piece in pieces:
        received.append(piece)  # noqa: PERF401 - what has come counts, not only all of it
