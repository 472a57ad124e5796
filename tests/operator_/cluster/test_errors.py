from __future__ import annotations

import json

import pytest

from llmops_operator.cluster import errors
from llmops_operator.cluster.errors import NotFoundError, TerminalError, TransientError

SECRET = "hunter2"


def answer(status: int, retry_after: str | None = None, **document: object) -> errors.ApiError:
    body = json.dumps({"kind": "Status", "code": status, **document}).encode()
    return errors.from_answer("PATCH /x", status, body, retry_after)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, TerminalError),
        (401, TransientError),
        (403, TransientError),
        (404, NotFoundError),
        (405, TerminalError),
        (408, TransientError),
        (409, TransientError),
        (410, TransientError),
        (413, TerminalError),
        (415, TerminalError),
        (422, TerminalError),
        (429, TransientError),
        (500, TransientError),
        (503, TransientError),
        (599, TransientError),
    ],
)
def test_the_status_decides_the_class(status: int, kind: type[errors.ApiError]) -> None:
    error = answer(status, reason="Why", message="what happened")
    assert type(error) is kind
    assert (error.status, error.reason) == (status, "Why")
    assert str(error) == f"PATCH /x: {status} what happened"


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [
        ("7", {}, 7.0),
        (None, {"retryAfterSeconds": 3}, 3.0),
        ("2", {"retryAfterSeconds": 3}, 2.0),
        (None, {}, None),
        ("soon", {}, None),
        ("-1", {}, None),
    ],
    ids=["header", "details", "header first", "neither", "no number", "negative"],
)
def test_the_servers_wish_to_wait(header: str | None, details: dict[str, int], seconds: float | None) -> None:
    error = answer(429, header, details=details)
    assert isinstance(error, TransientError)
    assert error.retry_after == seconds


def test_values_are_not_repeated() -> None:
    causes = [
        {"field": "spec.a", "message": f'Invalid value: "{SECRET}": must be short'},
        {"field": "spec.b", "message": f'Unsupported value: "{SECRET}: x": supported values: "A"'},
    ]
    error = answer(422, message=f'Invalid value: "{SECRET}": no', details={"causes": causes})
    assert SECRET not in str(error)
    assert "spec.a: Invalid value: must be short" in str(error)
    assert "spec.b" in str(error)
    assert SECRET not in str(answer(422, message=f'X "y" is invalid: spec.c: Invalid value: "{SECRET}": no'))


@pytest.mark.parametrize("body", [b"", b"<html>hunter2</html>", b'{"kind": "Secret", "message": "hunter2"}', b"[1]"])
def test_what_is_no_status_document_is_not_quoted(body: bytes) -> None:
    assert str(errors.from_answer("GET /x", 502, body, None)) == "GET /x: 502 Bad Gateway"


def test_a_long_message_is_cut() -> None:
    assert len(str(answer(500, message="x" * 10_000))) < 600


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "GET /x: no answer in time"),
        (ConnectionResetError(SECRET), "GET /x: no connection (ConnectionResetError)"),
    ],
)
def test_no_answer_is_transient_and_quotes_nothing(error: BaseException, said: str) -> None:
    assert str(errors.no_answer("GET /x", error)) == said
