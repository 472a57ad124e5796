from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from llmops_sidecars.contract import Engine, OpenAIEngine, TritonHttpEngine
from llmops_sidecars.engine.current import CurrentRoute
from llmops_sidecars.engine.driver import EmbedRequest, GenerateRequest, Piece, Vectors
from llmops_sidecars.engine.make import make_route
from llmops_sidecars.engine.metrics import EngineMetrics
from llmops_sidecars.openai.errors import ApiError
from tests.sidecars_.engine.kit import contract, stream
from tests.support.asgi import eventually

FIRST, SECOND = TritonHttpEngine("http://first"), TritonHttpEngine("http://second")


class Engines:
    """Makes drivers that count how often they are closed."""

    def __init__(self) -> None:
        self.made: list[ClosingDriver] = []

    def __call__(self, engine: Engine) -> ClosingDriver:
        self.made.append(ClosingDriver(engine))
        return self.made[-1]


class ClosingDriver:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.closed = 0

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        return stream(Piece(request.id, 1, "stop"))

    async def embed(self, _: EmbedRequest) -> Vectors:
        return Vectors(())

    async def probe(self) -> None:
        return

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
def current(engines: Engines) -> CurrentRoute:
    metrics = EngineMetrics(CollectorRegistry())
    return CurrentRoute(lambda contract: make_route(contract, metrics, engines))


def test_without_a_contract_there_is_no_route(current: CurrentRoute) -> None:
    with pytest.raises(ApiError, match="no contract") as caught, current.lease():
        pass
    assert caught.value.code == "not_ready"


async def test_new_limits_keep_the_driver(current: CurrentRoute, engines: Engines) -> None:
    for tokens in (10, 20):
        current.configure(contract(FIRST, output_tokens=tokens))
    with current.lease() as use:
        assert use.contract.limits.output_tokens == 20
    assert len(engines.made) == 1
    assert engines.made[0].closed == 0


async def test_a_replaced_driver_is_closed_at_once_when_it_is_idle(current: CurrentRoute, engines: Engines) -> None:
    current.configure(contract(FIRST))
    current.configure(contract(SECOND))
    await eventually(lambda: engines.made[0].closed == 1)
    assert engines.made[1].closed == 0


async def test_requests_end_on_the_driver_on_which_they_began(current: CurrentRoute, engines: Engines) -> None:
    current.configure(contract(FIRST))
    with current.lease() as old, current.lease():
        current.configure(contract(SECOND))
        with current.lease() as new:
            assert old.route is not new.route
        assert engines.made[0].closed == 0
    await eventually(lambda: engines.made[0].closed == 1)


async def test_another_fallback_makes_another_route(current: CurrentRoute, engines: Engines) -> None:
    current.configure(contract(FIRST))
    current.configure(msgspec.structs.replace(contract(FIRST), fallback=SECOND))
    assert [driver.engine for driver in engines.made] == [FIRST, FIRST, SECOND]


async def test_each_address_of_a_provider_has_its_driver(current: CurrentRoute, engines: Engines) -> None:
    current.configure(contract(OpenAIEngine("http://a", "m", "/key", ("http://b", "http://c"))))
    assert [driver.engine for driver in engines.made] == [
        OpenAIEngine(url, "m", "/key") for url in ("http://a", "http://b", "http://c")
    ]


async def test_a_drain_closes_connections_whenever_nothing_is_in_flight(
    current: CurrentRoute, engines: Engines
) -> None:
    current.configure(contract(FIRST))
    (driver,) = engines.made
    with current.lease():
        current.drain()
        assert driver.closed == 0
    await eventually(lambda: driver.closed == 1)
    with current.lease():
        pass
    await eventually(lambda: driver.closed == 2)


async def test_a_drain_closes_idle_connections_at_once(current: CurrentRoute, engines: Engines) -> None:
    current.configure(contract(FIRST))
    current.drain()
    await eventually(lambda: engines.made[0].closed == 1)


async def test_at_the_end_everything_is_closed(current: CurrentRoute, engines: Engines) -> None:
    current.configure(contract(FIRST))
    current.configure(contract(SECOND))
    await current.close()
    assert [driver.closed for driver in engines.made] == [1, 1]


async def test_what_was_never_used_can_be_closed(current: CurrentRoute) -> None:
    await current.close()
    current.drain()
    assert current.draining
