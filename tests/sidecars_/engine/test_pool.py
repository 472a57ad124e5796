from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import pytest

from llmops_sidecars.engine.driver import EmbedRequest, EngineUnavailableError, GenerateRequest, Piece, Vectors
from llmops_sidecars.engine.health import FAILURES, FIRST_SECONDS
from llmops_sidecars.engine.pool import Endpoint, Pool
from llmops_sidecars.openai.errors import (
    engine_failed,
    engine_timeout,
    engine_unavailable,
    invalid_request,
    too_many_requests,
)
from tests.sidecars_.engine.kit import stream


class Named:
    """A driver that is never asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def generate(self, _: GenerateRequest) -> AsyncGenerator[Piece]:
        return stream()

    async def embed(self, _: EmbedRequest) -> Vectors:
        return Vectors(())

    async def probe(self) -> None:
        return

    async def close(self) -> None:
        self.closed = True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pool(names: str, clock: Clock) -> Pool:
    return Pool([Named(name) for name in names], clock)


def name(endpoint: Endpoint | None) -> str:
    if endpoint is None:
        return ""
    assert isinstance(endpoint.driver, Named)
    return endpoint.driver.name


def chosen(found: Pool, times: int) -> str:
    return "".join(name(found.choose()) for _ in range(times))


def fail(found: Pool, which: str, error: Exception | None = None, times: int = FAILURES) -> None:
    raised = error or EngineUnavailableError()
    (endpoint,) = [one for one in found.by_health() if name(one) == which]
    for _ in range(times):
        with contextlib.suppress(type(raised)), found.using(endpoint):
            raise raised


def test_endpoints_are_asked_in_turn(clock: Clock) -> None:
    assert sorted(chosen(pool("abc", clock), 3)) == ["a", "b", "c"]
    assert len(set(chosen(pool("ab", clock), 10)[::2])) == 1


def test_one_that_has_just_failed_is_asked_only_when_there_is_no_other(clock: Clock) -> None:
    found = pool("ab", clock)
    first = found.choose()
    assert name(first) != name(found.choose(first))
    alone = pool("a", clock)
    assert name(alone.choose(alone.choose())) == "a"


@pytest.mark.parametrize(
    ("names", "failing", "left"),
    [("a", "a", ""), ("ab", "a", "b"), ("ab", "ab", "b"), ("abcd", "abc", "cd"), ("abc", "ab", "bc")],
    ids=["the only one", "one of two", "both", "three of four", "two of three"],
)
def test_at_most_half_of_several_are_ejected(clock: Clock, names: str, failing: str, left: str) -> None:
    found = pool(names, clock)
    for which in failing:
        fail(found, which)
    assert "".join(sorted(set(chosen(found, 12)))) == left
    assert found.ejected == len(names) - len(left)


def test_an_ejected_one_is_tried_once_and_is_back_when_it_answers(clock: Clock) -> None:
    found = pool("ab", clock)
    fail(found, "a")
    assert set(chosen(found, 4)) == {"b"}
    clock.now = FIRST_SECONDS
    due = found.choose()
    assert due is not None
    assert name(due) == "a"
    with found.using(due):
        assert set(chosen(found, 4)) == {"b"}
        found.answered(due)
    assert set(chosen(found, 4)) == {"a", "b"}


@pytest.mark.parametrize(
    ("error", "ejects"),
    [
        (EngineUnavailableError(), True),
        (engine_unavailable(), True),
        (engine_timeout("its first token", 1.0), True),
        (engine_failed(), False),
        (too_many_requests(), False),
        (invalid_request("no"), False),
        (RuntimeError("a bug"), False),
    ],
    ids=["unreachable", "unavailable", "hangs", "answers with an error", "too many", "the client's", "a bug"],
)
def test_only_an_engine_that_is_silent_is_ejected(clock: Clock, error: Exception, *, ejects: bool) -> None:
    found = pool("ab", clock)
    fail(found, "a", error)
    assert found.ejected == int(ejects)


def test_an_engine_that_answers_its_trial_with_an_error_is_back(clock: Clock) -> None:
    found = pool("a", clock)
    fail(found, "a")
    clock.now = FIRST_SECONDS
    fail(found, "a", engine_failed(), times=1)
    assert found.ejected == 0


def test_those_in_rotation_come_first(clock: Clock) -> None:
    found = pool("abc", clock)
    fail(found, "a")
    assert [name(endpoint) for endpoint in found.by_health()] == ["b", "c", "a"]


async def test_all_are_closed(clock: Clock) -> None:
    drivers = [Named("a"), Named("b")]
    await Pool(drivers, clock).close()
    assert all(driver.closed for driver in drivers)
