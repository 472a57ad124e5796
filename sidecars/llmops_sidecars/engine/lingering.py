"""Generations that end by a stop request alone: read to their end, also when nobody wants it any more.

Triton does not cancel the steps of an ensemble, and a stop request that overtakes its request does nothing. So a task
of its own reads the responses; when their reader leaves, Triton is asked to stop until it has, what comes is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

from llmops_sidecars.engine.answer import Response
from llmops_sidecars.proxy.asgi import cancel

READ_AHEAD = 4
"""Responses that may wait for their reader."""

STOPS, STOP_SECONDS = 5, 1.0
"""How often a generation is asked to stop, and how long each time is waited for its end: a stop request that comes
before the generation has begun does nothing."""

Stop = Callable[[], Awaitable[bool]]
Queue = asyncio.Queue[Response | BaseException | None]


class Lingering:
    """The generations that are still read after their readers have left."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def responses(self, responses: AsyncGenerator[Response], stop: Stop) -> AsyncGenerator[Response]:
        """The responses. `stop` asks for their end; whether there is somebody to ask."""
        queue: Queue = asyncio.Queue(READ_AHEAD)
        reading = self._start(_read(responses, queue))
        try:
            while (response := await queue.get()) is not None:
                if isinstance(response, BaseException):
                    raise response
                yield response
        finally:
            if not reading.done():
                self._start(_end(reading, queue, stop))

    async def close(self) -> None:
        """Wait until all have ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _read(responses: AsyncGenerator[Response], queue: Queue) -> None:
    """Put responses into the queue, then the error that ends them, or None."""
    try:
        async with contextlib.aclosing(responses):
            async for response in responses:
                await queue.put(response)
    except Exception as error:  # noqa: BLE001 - whatever it is, the reader of the queue raises it
        await queue.put(error)
    else:
        await queue.put(None)


async def _end(reading: asyncio.Task[None], queue: Queue, stop: Stop) -> None:
    """Ask for the end until it comes; when it does not, close the connection."""
    dropping = asyncio.create_task(_drop(queue))
    for _ in range(STOPS):
        if not await stop():
            break
        await asyncio.wait({reading}, timeout=STOP_SECONDS)
        if reading.done():
            break
    await cancel(reading, dropping)


async def _drop(queue: Queue) -> None:
    while True:
        await queue.get()
