from __future__ import annotations

import json
from typing import Any

import pytest

from bench.judgement import tables
from bench.judgement.__main__ import goals
from bench.report import RESULTS

RESULT = RESULTS / "judgement.json"


@pytest.fixture
def document() -> dict[str, Any]:
    return dict(json.loads(RESULT.read_text(encoding="utf-8")))


def test_the_tables_of_the_documentation_are_those_of_the_results(document: dict[str, Any]) -> None:
    text = tables.DOCUMENT.read_text(encoding="utf-8")
    assert tables.written(text, tables.tables(document)) == text, "say `python -m bench.judgement --tables`"


def test_a_result_that_changes_changes_the_tables(document: dict[str, Any]) -> None:
    document["figures"]["injection"]["recall"]["by form"]["raw"] = {"rate": 0.5, "low": 0.25, "high": 0.75, "of": 1234}
    assert "| raw | 50.0 (25.0 to 75.0) | 1234 |" in tables.tables(document)


def test_goals_are_those_of_the_figures(document: dict[str, Any]) -> None:
    made = goals(document["figures"])
    assert [(one.name, one.value, one.goal) for one in made] == [
        (one["name"], one["value"], one["goal"]) for one in document["goals"]
    ]


def test_a_document_without_its_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="markers"):
        tables.written("text", "content")
