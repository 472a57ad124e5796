"""The ways to a real Triton: each interface over each protocol, and servers that speak it."""

from __future__ import annotations

import contextlib
import re
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops_sidecars.contract import Engine, TritonGrpcEngine, TritonHttpEngine, TritonInterface, TritonLayout
from llmops_sidecars.engine.driver import Driver
from llmops_sidecars.engine.make import make_driver
from tests.support.triton import TritonServer, running_triton
from tests.support.triton_files import ENSEMBLE_REPOSITORY, REPOSITORY, VLLM_REPOSITORY

MODELS = {
    TritonInterface.LLMAPI: "tensorrt_llm",
    TritonInterface.ENSEMBLE: "ensemble",
    TritonInterface.VLLM: "vllm_model",
}
REPOSITORIES = {
    TritonInterface.LLMAPI: REPOSITORY,
    TritonInterface.ENSEMBLE: ENSEMBLE_REPOSITORY,
    TritonInterface.VLLM: VLLM_REPOSITORY,
}
SLOTS = {TritonInterface.VLLM: "max_num_seqs"}
"""What the setting is called that says how many requests generate at the same time; elsewhere max_batch_size."""

ACTIVE = re.compile(r'^nv_trt_llm_request_metrics\{.*request_type="active".*\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Way:
    """An interface over a protocol."""

    interface: TritonInterface
    protocol: str

    def to(self, server: TritonServer, model: str = "", layout: TritonLayout | None = None) -> Engine:
        """The engine's settings."""
        name = model or MODELS[self.interface]
        if self.protocol == "grpc":
            return TritonGrpcEngine(server.grpc, name, self.interface, layout)
        return TritonHttpEngine(server.http, name, self.interface, layout)

    def __str__(self) -> str:
        return f"{self.interface}-{self.protocol}"


@contextlib.contextmanager
def serving_interface(
    interface: TritonInterface, *, slots: int = 8, repository: Path | None = None, flags: Any = (), **model: Any
) -> Iterator[TritonServer]:
    """A server whose model speaks an interface, with so many slots; `model` is its section `cpu_model`."""
    config = {SLOTS.get(interface, "max_batch_size"): slots, "cpu_model": {"engine_metrics": True, **model}}
    with running_triton(config, flags, repository or REPOSITORIES[interface]) as server:
        yield server


@contextlib.asynccontextmanager
async def driving(engine: Engine) -> AsyncIterator[Driver]:
    """A driver, closed at the end."""
    driver = make_driver(engine)
    try:
        yield driver
    finally:
        await driver.close()


def active_requests(server: TritonServer) -> float:
    """How many requests the engine has, waiting or generating."""
    with urllib.request.urlopen(server.metrics, timeout=5) as response:  # noqa: S310 - our own server's address
        (found,) = ACTIVE.findall(response.read().decode())
    return float(found)
