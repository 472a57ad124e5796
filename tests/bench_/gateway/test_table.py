from __future__ import annotations

import json
from typing import Any

import pytest

from bench.gateway import table
from bench.report import RESULTS

RESULT = RESULTS / "gateway.json"


@pytest.fixture
def document() -> dict[str, Any]:
    return dict(json.loads(RESULT.read_text(encoding="utf-8")))


def test_the_tables_of_the_documentation_are_those_of_the_results(document: dict[str, Any]) -> None:
    text = table.DOCUMENT.read_text(encoding="utf-8")
    assert table.written(text, table.tables(document)) == text, "say `python -m bench.gateway --tables`"
    readme = table.README.read_text(encoding="utf-8")
    assert table.written(readme, table.short(document)) == readme, "say `python -m bench.gateway --tables`"


def test_the_readme_shows_every_gateway_and_overload_as_such(document: dict[str, Any]) -> None:
    found = document["figures"]["contenders"].values()
    rows = table.short(document).splitlines()[2:]
    assert len(rows) == len([one for one in found if one["memory_mib"]])
    assert not any(row.startswith("| no gateway |") for row in rows)
    slow = next(one for one in found if one["memory_mib"])
    slow["added"][table.README_RATE]["overloaded"] = True
    assert "| overloaded |" in table.short(document).splitlines()[2]


def test_each_contender_has_a_row_in_both_tables(document: dict[str, Any]) -> None:
    lines = table.tables(document).splitlines()
    for one in document["figures"]["contenders"].values():
        assert len([line for line in lines if line.startswith(f"| {one['title']} | {one['features']} |")]) == 2


def test_a_result_that_changes_changes_the_tables(document: dict[str, Any]) -> None:
    before = table.tables(document)
    first = next(iter(document["figures"]["contenders"].values()))
    first["requests_per_second"] = {"median": 123456.0, "low": 123456.0, "high": 123456.0}
    assert "123,456" in table.tables(document)
    assert table.tables(document) != before


def test_overload_and_missing_answers_stand_instead_of_and_beside_a_figure() -> None:
    spread = {"median": 1.5, "low": 1.25, "high": 2.0}
    added = {"p50_ms": spread, "overloaded": False, "unanswered_share": 0.25}
    assert table._added(added, "p50_ms") == "1.50 (1.25 to 2.00), 25% not answered"
    assert table._added(added | {"overloaded": True}, "p50_ms") == "overloaded"


def test_only_what_is_between_the_markers_changes() -> None:
    text = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    assert table.written(text, "new") == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"


def test_a_document_without_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="gateway: begin"):
        table.written("nothing here", "new")
