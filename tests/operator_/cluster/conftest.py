from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from llmops_operator.cluster.client import Client
from tests.support.apiserver import FakeApi


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi().serve() as server:
        yield server


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[Client]:
    made = Client(api.connection())
    yield made
    await made.close()
