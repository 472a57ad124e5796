"""Generations side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from llmops_sidecars.engine.choices import side_by_side
from llmops_sidecars.engine.driver import EngineUnavailableError, GenerateRequest, Piece
from llmops_sidecars.openai.answers import Usage
from llmops_sidecars.openai.errors import engine_failed
from tests.sidecars_.engine.kit import generate


class Engine:
    """Generates one choice: its request's id and seed as text; it counts who is at work."""

    def __init__(self, *, usage: bool = True) -> None:
        self.usage = usage
        self.running = 0
        self.requests: list[GenerateRequest] = []
        self.go_on = asyncio.Event()

    async def __call__(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        self.requests.append(request)
        self.running += 1
        try:
            yield Piece(request.id, 1)
            await self.go_on.wait()
            yield Piece(str(request.chat.seed), 1, "stop", usage=Usage(3, 2, 5) if self.usage else None)
        finally:
            self.running -= 1


async def collected(pieces: AsyncGenerator[Piece]) -> list[Piece]:
    return [piece async for piece in pieces]


async def test_one_choice_is_the_generation_itself() -> None:
    engine, request = Engine(), generate("Hi", seed=5)
    engine.go_on.set()
    pieces = await collected(side_by_side(engine, request))
    assert pieces == [Piece("req-1", 1), Piece("5", 1, "stop", usage=Usage(3, 2, 5))]
    assert engine.requests == [request]


async def test_choices_have_ids_and_seeds_of_their_own_and_one_usage() -> None:
    engine = Engine()
    engine.go_on.set()
    pieces = await collected(side_by_side(engine, generate("Hi", seed=5, n=3)))
    by_choice = [[piece.text for piece in pieces if piece.index == index] for index in range(3)]
    assert by_choice == [["req-1-0", "5"], ["req-1-1", "6"], ["req-1-2", "7"]]
    assert [piece.usage for piece in pieces if piece.usage] == [pieces[-1].usage] == [Usage(3, 6, 9)]
    assert {request.n for request in engine.requests} == {1}


async def test_without_a_seed_or_counts_there_are_none() -> None:
    engine = Engine(usage=False)
    engine.go_on.set()
    pieces = await collected(side_by_side(engine, GenerateRequest("", generate("Hi", n=2).chat, 10)))
    assert {request.chat.seed for request in engine.requests} == {None}
    assert {request.id for request in engine.requests} == {""}
    assert pieces[-1].usage is None


async def test_they_run_at_the_same_time_and_leaving_ends_all() -> None:
    engine = Engine()
    pieces = side_by_side(engine, generate("Hi", n=4))
    first = [await anext(pieces) for _ in range(4)]
    assert {piece.index for piece in first} == {0, 1, 2, 3}
    assert engine.running == 4
    await pieces.aclose()
    assert engine.running == 0


@pytest.mark.parametrize("error", [engine_failed(), EngineUnavailableError()], ids=["failed", "unreachable"])
async def test_an_error_of_one_ends_all(error: Exception) -> None:
    engine = Engine()

    async def generate_one(request: GenerateRequest) -> AsyncGenerator[Piece]:
        if request.id.endswith("-1"):
            raise error
        async for piece in engine(request):
            yield piece

    with pytest.raises(type(error)):
        await collected(side_by_side(generate_one, generate("Hi", n=3)))
    assert engine.running == 0


async def test_a_choice_that_was_cut_ends_all_without_a_reason() -> None:
    async def cut(request: GenerateRequest) -> AsyncGenerator[Piece]:
        yield Piece(request.id, 1)

    pieces = await collected(side_by_side(cut, generate("Hi", n=2)))
    assert all(piece.finish_reason is None for piece in pieces)


async def test_a_slow_reader_holds_the_engine_back() -> None:
    made = 0

    async def endless(request: GenerateRequest) -> AsyncGenerator[Piece]:
        nonlocal made
        while True:
            made += 1
            yield Piece(request.id, 1)

    pieces = side_by_side(endless, generate("Hi", n=2))
    await anext(pieces)
    for _ in range(50):
        await asyncio.sleep(0)
    assert made <= 6
    await pieces.aclose()
