from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from llmops_sidecars.cache.flight import PIECE_BYTES, Flight, Flights, Listener, Piece
from llmops_sidecars.openai.answers import Chunk, Delta
from llmops_sidecars.openai.errors import ApiError, too_many_requests
from tests.sidecars_.cache.kit import USAGE, chunk, until

Generate = Callable[[Flight], Awaitable[None]]


class Generator:
    """A generation that a test steps through."""

    def __init__(self) -> None:
        self.chunks: asyncio.Queue[Chunk | Exception | None] = asyncio.Queue()
        self.added = 0
        self.cancelled = False

    def say(self, *texts: str) -> None:
        for text in texts:
            self.chunks.put_nowait(chunk(text))

    def end(self, reason: str | None = "stop") -> None:
        self.chunks.put_nowait(chunk(reason=reason))
        self.chunks.put_nowait(None)

    async def __call__(self, flight: Flight) -> None:
        try:
            while (item := await self.chunks.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                await flight.add(item)
                self.added += 1
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def read(flight: Flight, listener: Listener) -> list[Piece]:
    return [piece async for piece in flight.pieces(listener)]


async def listen(flight: Flight) -> list[Piece]:
    with flight.listen() as listener:
        return await read(flight, listener)


async def test_all_listeners_hear_all_from_the_beginning() -> None:
    flight, generator = Flight(whole=True), Generator()
    with flight.listen() as first:
        flight.run(generator)
        generator.say("The ", "sky ")
        await until(lambda: generator.added == 2)
        with flight.listen() as second:
            late = asyncio.create_task(read(flight, second))
            generator.say("is blue.")
            generator.chunks.put_nowait(chunk(usage=USAGE))
            generator.end()
            assert "".join(map(str, await read(flight, first))) == "The sky is blue."
            assert "".join(map(str, await late)) == "The sky is blue."
    assert (flight.finish_reason, flight.usage, flight.text()) == ("stop", USAGE, "The sky is blue.")
    assert (flight.model, flight.created) == ("chat", 1_700_000_000)


async def test_a_listener_that_keeps_up_hears_each_piece() -> None:
    flight, generator = Flight(whole=True), Generator()
    heard = []
    with flight.listen() as listener:
        flight.run(generator)
        generator.say("a")
        async for piece in flight.pieces(listener):
            heard.append(piece)
            if len(heard) < 4:
                generator.say("b")
            else:
                generator.end()
    assert heard == ["a", "b", "b", "b"]


async def test_a_slow_listener_hears_fewer_and_larger_pieces() -> None:
    flight, generator = Flight(whole=True), Generator()
    with flight.listen() as listener:
        flight.run(generator)
        generator.say("a", "b")
        generator.chunks.put_nowait(chunk(refusal="no"))
        generator.say("c", "d")
        generator.end()
        await until(lambda: flight.ended)
        assert await read(flight, listener) == ["ab", Delta(refusal="no"), "cd"]


@pytest.mark.parametrize(
    ("failure", "code"),
    [(too_many_requests(), "too_many_requests"), (RuntimeError("a bug"), "internal_error")],
    ids=["told-by-the-engine", "a-bug"],
)
async def test_a_failure_reaches_all(failure: Exception, code: str) -> None:
    flight, generator = Flight(whole=True), Generator()
    listeners = [asyncio.create_task(listen(flight)) for _ in range(3)]
    await asyncio.sleep(0)
    flight.run(generator)
    generator.say("a")
    generator.chunks.put_nowait(failure)
    errors = await asyncio.gather(*listeners, return_exceptions=True)
    assert [error.code for error in errors if isinstance(error, ApiError)] == [code] * 3
    assert flight.text() is None


async def test_an_end_without_a_reason_is_a_failure() -> None:
    flight, generator = Flight(whole=True), Generator()
    flight.run(generator)
    generator.say("a")
    generator.end(reason=None)
    with pytest.raises(ApiError) as failure:
        await listen(flight)
    assert failure.value.code == "engine_failed"


async def test_opened_waits_for_the_first_piece() -> None:
    flight, generator = Flight(whole=True), Generator()
    with flight.listen() as listener:
        flight.run(generator)
        opened = asyncio.create_task(flight.opened(listener))
        generator.chunks.put_nowait(chunk(""))
        await until(lambda: generator.added == 1)
        assert not opened.done()
        generator.say("a")
        await opened


@pytest.mark.parametrize(("texts", "raises"), [([], True), (["a"], False)], ids=["before", "after"])
async def test_opened_raises_for_a_failure_before_the_first_piece_only(
    texts: list[str],
    raises: bool,  # noqa: FBT001 - a column
) -> None:
    flight, generator = Flight(whole=True), Generator()
    with flight.listen() as listener:
        flight.run(generator)
        generator.say(*texts)
        generator.chunks.put_nowait(too_many_requests())
        await until(lambda: flight.ended)
        if raises:
            with pytest.raises(ApiError):
                await flight.opened(listener)
        else:
            await flight.opened(listener)


async def test_the_first_listener_may_leave() -> None:
    flight, generator = Flight(whole=True), Generator()
    with flight.listen() as second:
        with flight.listen():
            flight.run(generator)
            generator.say("a")
        generator.say("b")
        generator.end()
        assert "".join(map(str, await read(flight, second))) == "ab"
    assert not generator.cancelled


async def test_the_generation_is_cancelled_when_all_have_left() -> None:
    flight, generator = Flight(whole=True), Generator()
    with flight.listen(), flight.listen():
        flight.run(generator)
        generator.say("a")
        await until(lambda: generator.added == 1)
    await until(lambda: flight.ended)
    assert generator.cancelled
    assert flight.text() is None


async def test_text_is_none_when_there_is_more_than_text() -> None:
    flight, generator = Flight(whole=True), Generator()
    flight.run(generator)
    generator.chunks.put_nowait(chunk("a", refusal="no"))
    generator.end()
    assert await listen(flight) == ["a", Delta(refusal="no")]
    assert flight.text() is None


@pytest.mark.parametrize("whole", [True, False])
async def test_the_record_is_bounded_and_waits_for_the_slowest(whole: bool) -> None:  # noqa: FBT001 - a column
    flight, generator = Flight(whole=whole, max_bytes=10 * (PIECE_BYTES + 1)), Generator()
    with flight.listen() as slow, flight.listen() as fast:
        flight.run(generator)
        heard = asyncio.create_task(read(flight, fast))
        generator.say(*"x" * 30)
        generator.end()
        await until(lambda: generator.chunks.qsize() == 21)
        await asyncio.sleep(0)
        assert generator.added == 10
        assert (len(flight._pieces), flight.whole) == (11, False)
        assert "".join(map(str, await read(flight, slow))) == "x" * 30
        assert "".join(map(str, await heard)) == "x" * 30
    assert flight._bytes <= flight._max_bytes
    assert flight.text() is None


async def test_a_slow_listener_that_leaves_holds_nobody_up() -> None:
    flight, generator = Flight(whole=False, max_bytes=PIECE_BYTES), Generator()
    with flight.listen() as fast:
        with flight.listen():
            flight.run(generator)
            generator.say("a", "b", "c")
            generator.end()
            heard = asyncio.create_task(read(flight, fast))
            await until(lambda: fast.position == 1)
        assert "".join(map(str, await heard)) == "abc"


async def test_a_flight_can_be_found_until_it_ends() -> None:
    flights, flight, generator = Flights(), Flight(whole=True), Generator()
    with flight.listen() as listener:
        flights.start("key", flight, generator)
        assert flights.find("key") is flight
        assert flights.find("other") is None
        generator.say("a")
        generator.end()
        await read(flight, listener)
        assert flights.find("key") is None
    await until(lambda: len(flights) == 0)


async def test_an_abandoned_flight_cannot_be_found() -> None:
    flights, generator = Flights(), Generator()
    abandoned = Flight(whole=True)
    with abandoned.listen():
        flights.start("key", abandoned, generator)
    assert flights.find("key") is None
    following = Flight(whole=True)
    with following.listen():
        flights.start("key", following, Generator())
        await until(lambda: abandoned.ended or abandoned._task is None or abandoned._task.done())
        await asyncio.sleep(0)
        assert flights.find("key") is following
