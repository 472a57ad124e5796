from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.apiserver import FakeApi


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi().serve() as server:
        yield server
