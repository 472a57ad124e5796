"""Generations that only a stop request ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from llmops_sidecars.engine.answer import Response
from llmops_sidecars.engine.lingering import READ_AHEAD, Lingering
from llmops_sidecars.openai.errors import ApiError, engine_failed
from tests.support.asgi import eventually


class Generation:
    """Goes on until it is asked to stop, as often as `deaf` says in vain; it knows whether its stream was cut."""

    def __init__(self, *, deaf: int = 0, reachable: bool = True) -> None:
        self._deaf, self._reachable = deaf, reachable
        self._stopped = False
        self.asked = self.made = 0
        self.ended = self.cut = False

    async def __call__(self) -> AsyncGenerator[Response]:
        try:
            while not self._stopped:
                self.made += 1
                yield Response(f"{self.made} ")
                await asyncio.sleep(0)
            self.ended = True
        finally:
            self.cut = not self.ended

    async def stop(self) -> bool:
        self.asked += 1
        self._stopped = self._reachable and self.asked > self._deaf
        return self._reachable


@pytest.fixture
async def lingering() -> Lingering:
    return Lingering()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmops_sidecars.engine.lingering.STOP_SECONDS", 0.05)


async def test_an_answer_that_is_read_to_its_end_is_not_stopped(lingering: Lingering) -> None:
    async def whole() -> AsyncGenerator[Response]:
        for text in ("a", "b"):
            yield Response(text)

    generation = Generation()
    found = [response.text_output async for response in lingering.responses(whole(), generation.stop)]
    await lingering.close()
    assert (found, generation.asked) == (["a", "b"], 0)


@pytest.mark.parametrize("deaf", [0, 2], ids=["at once", "a stop request that comes too early does nothing"])
async def test_a_generation_that_nobody_reads_is_asked_until_it_ends(lingering: Lingering, deaf: int) -> None:
    generation = Generation(deaf=deaf)
    answer = lingering.responses(generation(), generation.stop)
    assert (await anext(answer)).text_output == "1 "
    await answer.aclose()
    await lingering.close()
    assert (generation.asked, generation.ended, generation.cut) == (deaf + 1, True, False)


async def test_a_cancelled_reader_leaves_too(lingering: Lingering) -> None:
    generation = Generation()

    async def read() -> None:
        async for _ in lingering.responses(generation(), generation.stop):
            await asyncio.sleep(3600)

    reading = asyncio.create_task(read())
    await eventually(lambda: generation.made > 0)
    reading.cancel()
    await eventually(lambda: generation.ended)
    await lingering.close()


@pytest.mark.parametrize(
    ("generation", "asked"),
    [(Generation(deaf=1000), 5), (Generation(reachable=False), 1)],
    ids=["it does not stop", "there is nobody to ask"],
)
async def test_what_cannot_be_stopped_is_cut(lingering: Lingering, generation: Generation, asked: int) -> None:
    answer = lingering.responses(generation(), generation.stop)
    await anext(answer)
    await answer.aclose()
    await lingering.close()
    assert (generation.asked, generation.cut) == (asked, True)


async def test_a_slow_reader_holds_the_engine_back(lingering: Lingering) -> None:
    generation = Generation()
    answer = lingering.responses(generation(), generation.stop)
    await anext(answer)
    for _ in range(50):
        await asyncio.sleep(0)
    assert generation.made <= READ_AHEAD + 2
    await answer.aclose()
    await lingering.close()
    assert generation.ended


async def test_an_error_reaches_the_reader(lingering: Lingering) -> None:
    async def failing() -> AsyncGenerator[Response]:
        yield Response("a")
        raise engine_failed()

    generation = Generation()
    with pytest.raises(ApiError):
        [response async for response in lingering.responses(failing(), generation.stop)]
    await lingering.close()
    assert generation.asked == 0
