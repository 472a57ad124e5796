"""The driver for an engine of the contract, and the route of a contract."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from llmops_sidecars.contract import BenchmarkEngine, Contract, Engine, OpenAIEngine, TritonGrpcEngine
from llmops_sidecars.engine.benchmark import BenchmarkDriver
from llmops_sidecars.engine.driver import Driver
from llmops_sidecars.engine.metrics import EngineMetrics
from llmops_sidecars.engine.openai_http import OpenAIHttp
from llmops_sidecars.engine.pool import Pool
from llmops_sidecars.engine.route import Route, Served
from llmops_sidecars.engine.triton_driver import TritonDriver
from llmops_sidecars.engine.triton_grpc import GrpcTransport
from llmops_sidecars.engine.triton_http import HttpTransport


def make_driver(settings: Engine) -> Driver:
    """A driver, not connected yet."""
    if isinstance(settings, OpenAIEngine):
        return OpenAIHttp(settings)
    if isinstance(settings, BenchmarkEngine):
        return BenchmarkDriver(settings)
    if isinstance(settings, TritonGrpcEngine):
        return TritonDriver(settings, GrpcTransport(settings.address))
    return TritonDriver(settings, HttpTransport(settings.url))


def make_route(contract: Contract, metrics: EngineMetrics, make: Callable[[Engine], Driver] = make_driver) -> Route:
    """The route to a contract's engines, their drivers made by `make`."""
    primary = Pool([make(endpoint) for endpoint in endpoints(contract.engine)])
    fallback = Pool([make(one) for one in endpoints(contract.fallback)]) if contract.fallback else None
    served = Served.BENCHMARK if isinstance(contract.engine, BenchmarkEngine) else Served.PRIMARY
    return Route(primary, fallback, metrics, served)


def endpoints(engine: Engine) -> tuple[Engine, ...]:
    """An engine of several addresses as several of one."""
    if not isinstance(engine, OpenAIEngine):
        return (engine,)
    return tuple(
        msgspec.structs.replace(engine, url=url, further_urls=()) for url in (engine.url, *engine.further_urls)
    )
