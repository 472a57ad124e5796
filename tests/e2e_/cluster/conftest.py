from __future__ import annotations

from pathlib import Path

import pytest

from e2e.cluster.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache=tmp_path / "cache", state=tmp_path / "state", name="llmops-unit-test", port=0)
