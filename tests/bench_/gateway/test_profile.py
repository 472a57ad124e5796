from __future__ import annotations

from bench.gateway.profile import report, samples

STACKS = ["main (app/__main__.py:1);serve (a/b/server.py:10);parse (a/b/json.py:5) 6", "main (app/__main__.py:1) 2"]


def test_samples_are_counted_by_the_function_and_by_all_that_called_it() -> None:
    own, total = samples(STACKS)
    assert own == {"parse (b/json.py:5)": 6, "main (app/__main__.py:1)": 2}
    assert total == {"main (app/__main__.py:1)": 8, "serve (b/server.py:10)": 6, "parse (b/json.py:5)": 6}


def test_a_function_that_calls_itself_counts_once_a_sample() -> None:
    _, total = samples(["f (x/y.py:1);f (x/y.py:1) 3"])
    assert total == {"f (x/y.py:1)": 3}


def test_the_report_ranks_by_the_time_that_an_answer_takes() -> None:
    lines = report(*samples(STACKS), each=800.0).splitlines()
    assert lines[1].split()[:2] == ["600.0", "parse"]
    assert "800.0  main (app/__main__.py:1)" in lines[1]
