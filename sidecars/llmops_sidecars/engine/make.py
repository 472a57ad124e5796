"""The driver for an engine of the contract."""

from __future__ import annotations

from llmops_sidecars.contract import Engine, OpenAIEngine, TritonGrpcEngine
from llmops_sidecars.engine.driver import Driver
from llmops_sidecars.engine.openai_http import OpenAIHttp
from llmops_sidecars.engine.triton_driver import TritonDriver
from llmops_sidecars.engine.triton_grpc import GrpcTransport
from llmops_sidecars.engine.triton_http import HttpTransport


def make_driver(settings: Engine) -> Driver:
    """A driver, not connected yet."""
    if isinstance(settings, OpenAIEngine):
        return OpenAIHttp(settings)
    if isinstance(settings, TritonGrpcEngine):
        return TritonDriver(settings, GrpcTransport(settings.address))
    return TritonDriver(settings, HttpTransport(settings.url))
