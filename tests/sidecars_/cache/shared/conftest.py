"""A real server for all tests of this folder, and for each test a prefix that nobody else uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.valkey import Server, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests leave as it is, but for its keys."""
    with running(tmp_path_factory.mktemp("valkey")) as found:
        yield found


@pytest.fixture(autouse=True)
def _empty(request: pytest.FixtureRequest) -> None:
    if "server" in request.fixturenames:
        request.getfixturevalue("server").ask("FLUSHALL")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may do anything to."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    with running(folder) as found:
        yield found
