from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAMED = sorted(set(re.findall(r"`([a-z_0-9/]+\.py)::(\w+)`", (ROOT / "docs" / "dev" / "pitfalls.md").read_text())))
SCENARIOS = "e2e/"


def test_the_page_names_tests() -> None:
    assert len(NAMED) > 40


@pytest.mark.parametrize(("file", "function"), NAMED)
def test_a_test_that_the_page_names_exists(file: str, function: str) -> None:
    assert re.search(
        rf"^(async )?def {function}\(",
        ((ROOT if file.startswith(SCENARIOS) else ROOT / "tests") / file).read_text(),
        re.MULTILINE,
    )
