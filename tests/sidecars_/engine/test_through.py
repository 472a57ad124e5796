"""The engine behind the cache and the guard: what of it reaches clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from llmops_sidecars.cache.app import CacheApp
from llmops_sidecars.contract import CacheSettings, Configuration, Contract, OpenAIEngine, encode
from llmops_sidecars.engine.app import EngineApp
from llmops_sidecars.guard.app import GuardApp
from llmops_sidecars.guard.serving import build
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.inprocess import AppDownstream
from tests.sidecars_.engine.fake_provider import FakeProvider, delta
from tests.sidecars_.engine.kit import CHAT, asked
from tests.support.asgi import Answer, call, serving

EMBEDDINGS = "/v1/embeddings"


@pytest.fixture
def primary() -> FakeProvider:
    return FakeProvider()


class Chain:
    """Guard, cache and engine in one process."""

    def __init__(self, contract: Contract, folder: Path) -> None:
        path = folder / "contract.json"
        path.write_bytes(encode(contract))
        self.engine = EngineApp(CollectorRegistry())

        def configured(contract: Contract) -> Contract:
            self.engine.configure(contract)
            return contract

        below, above = ContractFile(path, configured), ContractFile(path, build)
        for file in (below, above):
            file.check()
        self.cache = CacheApp(AppDownstream(self.engine), below)
        self.guard = GuardApp(above, AppDownstream(self.cache))

    async def ask(self, prompt: str, **fields: Any) -> Answer:
        return await call(self.guard, "POST", CHAT, body=asked(prompt, **fields))


@pytest.fixture
async def chain(primary: FakeProvider, tmp_path: Path) -> AsyncIterator[Chain]:
    fallback = FakeProvider()
    fallback.events = [delta(content="instead"), delta("stop")]
    async with serving(primary) as one, serving(fallback) as other:
        configuration = Configuration("r1", cache=CacheSettings(ttl_seconds=60))
        contract = Contract("chat", OpenAIEngine(f"{one}/v1", "m"), (configuration,))
        chain = Chain(msgspec.structs.replace(contract, fallback=OpenAIEngine(f"{other}/v1", "o")), tmp_path)
        yield chain
        await chain.engine.close()


@pytest.mark.parametrize("stream", [True, False])
async def test_clients_are_told_which_engine_answered(chain: Chain, primary: FakeProvider, *, stream: bool) -> None:
    first = await chain.ask("one", stream=stream)
    again = await chain.ask("one", stream=stream)
    primary.refusal = (500, (), b"")
    instead = await chain.ask("two", stream=stream)
    told = [(one.headers["x-llmops-cache"], one.headers.get("x-llmops-engine")) for one in (first, again, instead)]
    assert told == [("miss", "primary"), ("hit", None), ("miss", "fallback")]


async def test_embeddings_pass_through_the_cache(chain: Chain, primary: FakeProvider) -> None:
    body = {"model": "chat", "input": ["one", "two"]}
    answer = await call(chain.cache, "POST", EMBEDDINGS, body=body, headers=((b"x-request-id", b"req-9"),))
    assert (answer.status, answer.headers["x-llmops-engine"]) == (200, "primary")
    assert [one["embedding"] for one in answer.json["data"]] == [[0.5, -0.5], [0.0, 1.0]]
    assert primary.requests[0][2]["input"] == ["one", "two"]
    refused = await call(chain.cache, "POST", EMBEDDINGS, body={"model": "chat"})
    assert (refused.status, refused.error["param"]) == (400, "input")
