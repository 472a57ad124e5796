from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmops_sidecars.cache.purge import EVERYTHING, MOST_MARKS, Marks, Selection, read_marks, selection
from tests.sidecars_.cache.kit import HEADERS, Bench

KEY = "t.r.p.m.d"


@pytest.fixture
def quick(tmp_path: Path) -> Bench:
    """A cache whose engine answers everything at once."""
    return Bench(tmp_path, text="The sky is blue.")


@pytest.mark.parametrize(
    ("selected", "covered"),
    [
        (EVERYTHING, True),
        (Selection(tenant="t"), True),
        (Selection(tenant="t", template="m"), True),
        (Selection(tenant="t", template="x"), False),
        (Selection(digest="d"), True),
        (Selection(revision="x"), False),
    ],
)
def test_a_selection_covers_keys_with_all_of_its_parts(selected: Selection, *, covered: bool) -> None:
    assert selected.covers(KEY) is covered
    assert selection(selected.pattern) == selected


def test_a_key_of_another_form_is_always_meant() -> None:
    assert Selection(tenant="x").covers("0123")


def test_marks_cover_what_was_asked_for_before() -> None:
    marks = Marks()
    assert marks.add(Selection(tenant="t"), 10.0)
    assert not marks.add(Selection(tenant="t"), 9.0)
    assert [marks.cover(KEY, when) for when in (9.0, 10.0, 10.1)] == [True, True, False]
    assert not marks.cover("x.r.p.m.d", 9.0)


def test_a_purge_of_everything_stands_for_all_before_it() -> None:
    marks = Marks()
    marks.add(Selection(tenant="t"), 10.0)
    marks.add(Selection(tenant="u"), 30.0)
    assert marks.add(EVERYTHING, 20.0)
    assert marks.times() == {"u.*.*.*.*": 30.0, "*.*.*.*.*": 20.0}
    assert not marks.add(Selection(tenant="t"), 15.0)


def test_too_many_marks_become_one_of_everything() -> None:
    marks = Marks()
    for number in range(MOST_MARKS + 1):
        marks.add(Selection(digest=str(number)), float(number))
    assert marks.times() == {EVERYTHING.pattern: float(MOST_MARKS)}


def test_old_marks_are_forgotten() -> None:
    marks = Marks()
    marks.add(Selection(tenant="t"), 10.0)
    marks.forget(10.5)
    assert marks.times() == {}


def test_what_is_no_mark_is_left_out() -> None:
    fields = {b"*.r.*.*.*": b"1.5", b"*.r": b"1", b"a.b.c.d.e": b"soon", b"\xff": b"1"}
    assert read_marks(fields) == [(Selection(revision="r"), 1.5)]


@pytest.mark.parametrize(
    "names",
    [
        {"tenant": "tenant-a"},
        {"revision": "one"},
        {"policy": "strict"},
        {"template": "support"},
        {"tenant": "tenant-a", "template": "support"},
        {"all": True},
    ],
    ids="-".join,
)
async def test_what_is_purged_is_not_given_again(quick: Bench, names: dict[str, Any]) -> None:
    await quick.remember()
    assert await quick.purge(**names) == {"removed": 1, "shared": None}
    assert await quick.metric("llmops_cache_evictions_total", reason="purged") == 1
    quick.clock.now += 1
    assert (await quick.remember()).outcome == "miss"
    assert (await quick.ask()).outcome == "hit"


@pytest.mark.parametrize(
    "names",
    [{"tenant": "b"}, {"revision": "two"}, {"policy": "x"}, {"template": "x"}, {"key": "0"}],
    ids="-".join,
)
async def test_the_rest_stays(quick: Bench, names: dict[str, str]) -> None:
    await quick.remember()
    assert await quick.purge(**names) == {"removed": 0, "shared": None}
    assert (await quick.ask()).outcome == "hit"


async def test_one_answer_is_purged_by_the_key_that_it_came_with(quick: Bench) -> None:
    key = (await quick.remember()).headers["x-llmops-cache-key"]
    await quick.remember(x_llmops_tenant="tenant-b", x_request_id="r2")
    assert (await quick.purge(key=key))["removed"] == 1
    assert (await quick.ask(x_llmops_tenant="tenant-b")).outcome == "hit"
    assert (await quick.ask()).outcome == "miss"


async def test_an_answer_that_was_asked_for_before_the_purge_is_not_remembered_after_it(quick: Bench) -> None:
    await quick.ask()
    await quick.purge(all=True)
    assert not await quick.commit()
    await quick.ask()
    await quick.purge(tenant="somebody")
    quick.clock.now += 1
    assert not await quick.commit("r2")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", "invalid_value"),
        (b'{"all": true, "tenant": "a"}', "invalid_value"),
        (b'{"tenants": "a"}', "invalid_json"),
        (b'{"tenant": 1}', "invalid_json"),
        (b"\xff", "invalid_json"),
    ],
)
async def test_a_purge_says_what_it_means(quick: Bench, body: bytes, code: str) -> None:
    await quick.remember()
    answer = await quick.call("POST", "/purge", HEADERS, body)
    assert (answer.status, msgspec.json.decode(answer.body)["error"]["code"]) == (400, code)
    assert (await quick.ask()).outcome == "hit"
