from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from llmops_operator.cluster.errors import TransientError
from llmops_operator.runtime import logs

SECRET = "hunter2"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root, library = logging.getLogger(), logging.getLogger("kopf")
    before = (root.level, root.handlers[:], library.level)
    stream = io.StringIO()
    logs.configure("debug", stream)
    yield stream
    root.handlers[:] = before[1]
    root.setLevel(before[0])
    library.setLevel(before[2])


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_an_object(lines: io.StringIO) -> None:
    logging.getLogger("llmops_operator.x").info("%s is {done}", "this")
    (line,) = read(lines)
    assert (line["level"], line["logger"], line["message"]) == ("info", "llmops_operator.x", "this is {done}")
    assert line["time"].endswith("+00:00")


def test_objects_in_kopfs_messages_are_cut(lines: io.StringIO) -> None:
    logging.getLogger("kopf.objects").warning("Ignoring an event: %r", {"spec": SECRET})
    logging.getLogger("kopf.objects").debug("Something is in progress: %r", {"spec": SECRET})
    (line,) = read(lines)
    assert line["message"] == "Ignoring an event: "


@pytest.mark.parametrize(
    ("error", "described"),
    [(ValueError(SECRET), "ValueError"), (TransientError("GET /x", "down", 500), "TransientError: GET /x: 500 down")],
    ids=["another's", "ours"],
)
def test_only_our_own_errors_tell_their_text(lines: io.StringIO, error: Exception, described: str) -> None:
    try:
        raise error
    except (ValueError, TransientError):
        logging.getLogger("llmops_operator").exception("a fault")
    (line,) = read(lines)
    assert line["exception"] == described
    assert "test_logs.py" in line["traceback"]
    assert SECRET not in json.dumps(line)
