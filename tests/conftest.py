"""What holds for all tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("llmops", deadline=None)  # a busy machine is no failure
settings.load_profile("llmops")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A test that configures logging, as the programs do, leaves none of it to the next one."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
