"""Several choices from an engine that generates one: as many generations side by side, their pieces told apart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import msgspec

from llmops_sidecars.engine.driver import GenerateRequest, Piece
from llmops_sidecars.openai.answers import Usage
from llmops_sidecars.proxy.asgi import cancel

Generate = Callable[[GenerateRequest], AsyncGenerator[Piece]]


def side_by_side(generate: Generate, request: GenerateRequest) -> AsyncGenerator[Piece]:
    """The pieces of all choices of a request, by a function that generates one.

    A seed counts up from choice to choice. The first error ends, and leaving cancels, all of them.
    """
    return generate(request) if request.n == 1 else _together(generate, request)


async def _together(generate: Generate, request: GenerateRequest) -> AsyncGenerator[Piece]:
    pieces: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue(request.n)
    tasks = [asyncio.create_task(_run(generate, _choice(request, index), index, pieces)) for index in range(request.n)]
    usages: list[Usage | None] = []
    try:
        while len(usages) < request.n:
            piece = await pieces.get()
            if piece is None:
                return
            if isinstance(piece, BaseException):
                raise piece
            if piece.finish_reason is not None:
                usages.append(piece.usage)
            yield msgspec.structs.replace(piece, usage=_sum(usages) if len(usages) == request.n else None)
    finally:
        await cancel(*tasks)


async def _run(
    generate: Generate, request: GenerateRequest, index: int, pieces: asyncio.Queue[Piece | BaseException | None]
) -> None:
    """Put one choice's pieces into the queue: an error at its end, or None when it ends without a finish reason."""
    finished = False
    try:
        async with contextlib.aclosing(generate(request)) as answer:
            async for piece in answer:
                finished = piece.finish_reason is not None
                await pieces.put(msgspec.structs.replace(piece, index=index))
    except Exception as error:  # noqa: BLE001 - whatever it is, the reader of the queue raises it
        await pieces.put(error)
    else:
        if not finished:
            await pieces.put(None)


def _choice(request: GenerateRequest, index: int) -> GenerateRequest:
    seed = None if request.chat.seed is None else request.chat.seed + index
    name = f"{request.id}-{index}" if request.id else ""
    return GenerateRequest(name, msgspec.structs.replace(request.chat, n=None, seed=seed), request.output_tokens)


def _sum(usages: list[Usage | None]) -> Usage | None:
    """The prompt counts once, as OpenAI counts it; None when an engine did not say."""
    told = [usage for usage in usages if usage is not None]
    if len(told) < len(usages):
        return None
    completion = sum(usage.completion_tokens for usage in told)
    return Usage(told[0].prompt_tokens, completion, told[0].prompt_tokens + completion)
