from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from llmops_sidecars.proxy.logs import configure


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_line_of_json() -> None:
    stream = io.StringIO()
    configure("info", stream)
    logging.getLogger("guard").warning("a %s\nmessage", "long", extra={"status": 503, "rule": "pii", "path": object})
    (line,) = lines(stream)
    time = datetime.fromisoformat(line.pop("time"))
    assert abs((datetime.now(UTC) - time).total_seconds()) < 60
    assert line == {
        "level": "warning",
        "logger": "guard",
        "message": "a long\nmessage",
        "status": 503,
        "rule": "pii",
        "path": "<class 'object'>",
    }


def test_an_exception_is_logged_by_type_and_place_and_never_by_its_words() -> None:
    stream = io.StringIO()
    configure("info", stream)
    try:
        int("hunter2")
    except ValueError:
        logging.getLogger("guard").exception("failed")
    (line,) = lines(stream)
    assert line["exception"] == "builtins.ValueError"
    assert [place.split(" ")[-1] for place in line["traceback"]] == [sys._getframe().f_code.co_name]
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize(("level", "count"), [("debug", 2), ("INFO", 1), ("error", 0)])
def test_levels(level: str, count: int) -> None:
    stream = io.StringIO()
    configure(level, stream)
    logging.getLogger("a").debug("d")
    logging.getLogger("a").info("i")
    assert len(lines(stream)) == count


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure("loud", io.StringIO())
