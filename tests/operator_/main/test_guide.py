"""The examples of docs/guard.md do what is written there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmops_operator.__main__ import main

GUIDE = (Path(__file__).parents[3] / "docs" / "guard.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(
    r"^## (\w+)\n.*?```yaml\n(.*?)```\n\n```prompts\n(.*?)```\n\n```shown\n(.*?)```", re.DOTALL | re.MULTILINE
)
EXAMPLES = {found[1]: found.groups()[1:] for found in EXAMPLE.finditer(GUIDE)}


def test_every_rule_that_looks_for_something_has_an_example() -> None:
    assert {"injection", "pii", "secrets", "phrases", "patterns"} <= set(EXAMPLES)


@pytest.mark.parametrize(("policy", "texts", "shown"), EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_shows_what_the_guide_says(
    policy: str, texts: str, shown: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.yaml").write_text(policy, encoding="utf-8")
    (tmp_path / "texts.txt").write_text(texts, encoding="utf-8")
    status = main(["check-policy", str(tmp_path / "policy.yaml"), str(tmp_path / "texts.txt")])
    assert capfd.readouterr().out == shown
    assert status == int("Blocked" in shown)
