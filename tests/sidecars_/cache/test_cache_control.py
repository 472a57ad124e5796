from __future__ import annotations

from pathlib import Path

import pytest

from llmops_sidecars.cache.request import read_directives
from tests.sidecars_.cache.kit import REQUEST, Bench


@pytest.fixture
def quick(tmp_path: Path) -> Bench:
    """A cache whose engine answers everything at once."""
    return Bench(tmp_path, text="The sky is blue.")


@pytest.mark.parametrize(
    ("header", "directives"),
    [
        ("", {"": ""}),
        ("No-Store", {"no-store": ""}),
        (' max-age = "5" , only-if-cached', {"max-age": "5", "only-if-cached": ""}),
        ("max-age=1, max-age=2", {"max-age": "1"}),
    ],
)
def test_directives_are_read_in_any_form(header: str, directives: dict[str, str]) -> None:
    assert read_directives(header) == directives


async def test_a_hit_tells_its_age(quick: Bench) -> None:
    assert "age" not in (await quick.remember()).headers
    quick.clock.now += 7.9
    assert (await quick.ask()).headers["age"] == "7"


@pytest.mark.parametrize(
    ("header", "outcome"),
    [
        ("max-age=11", "hit"),
        ("max-age=10", "miss"),
        ("max-age=0", "miss"),
        ("max-age=-1", "miss"),
        ("max-age=soon", "miss"),
        ("max-age=", "miss"),
        ("max-age=99999999999999999999", "miss"),
        ("max-stale=5", "hit"),
    ],
)
async def test_an_answer_is_no_older_than_the_caller_allows(quick: Bench, header: str, outcome: str) -> None:
    await quick.remember()
    quick.clock.now += 10
    assert (await quick.ask(cache_control=header)).outcome == outcome
    assert (await quick.ask()).outcome == "hit"


async def test_a_newer_answer_takes_the_place_of_one_that_was_too_old(quick: Bench) -> None:
    await quick.remember()
    quick.clock.now += 10
    await quick.remember(cache_control="max-age=5")
    assert (await quick.ask(cache_control="max-age=5")).outcome == "hit"


async def test_only_if_cached_never_asks_the_engine(quick: Bench) -> None:
    answer = await quick.ask(cache_control="only-if-cached")
    assert (answer.status, answer.error) == (504, "not_remembered")
    assert quick.engine.generations == []
    await quick.remember()
    assert (await quick.ask(cache_control="only-if-cached")).outcome == "hit"
    quick.clock.now += 10
    assert (await quick.ask(cache_control="only-if-cached, max-age=5")).status == 504


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        (REQUEST, "only-if-cached, no-cache"),
        (REQUEST, "only-if-cached, no-store"),
        ({**REQUEST, "temperature": 1.5}, "only-if-cached"),
    ],
    ids=["no-cache", "no-store", "hot"],
)
async def test_only_if_cached_of_what_cannot_be_is_504(quick: Bench, fields: dict[str, object], header: str) -> None:
    await quick.remember()
    assert (await quick.ask(fields, cache_control=header)).status == 504
    assert len(quick.engine.generations) == 1
