from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmops_sidecars.openai import errors
from llmops_sidecars.openai.errors import ApiError, ErrorBody, decode_error, event_error

CASES = [
    pytest.param(errors.invalid_request("x", "stop"), 400, "invalid_request_error", "invalid_value", id="invalid"),
    pytest.param(errors.invalid_json("cut"), 400, "invalid_request_error", "invalid_json", id="json"),
    pytest.param(
        errors.unsupported("n", "n: 2"), 400, "invalid_request_error", "unsupported_parameter", id="unsupported"
    ),
    pytest.param(errors.body_too_large(9), 413, "invalid_request_error", "body_too_large", id="large"),
    pytest.param(errors.body_too_slow(), 408, "invalid_request_error", "body_too_slow", id="slow"),
    pytest.param(errors.compressed_body(), 415, "invalid_request_error", "unsupported_encoding", id="compressed"),
    pytest.param(errors.model_not_found("chat"), 404, "invalid_request_error", "model_not_found", id="model"),
    pytest.param(errors.route_not_found(), 404, "invalid_request_error", "not_found", id="route"),
    pytest.param(errors.method_not_allowed("POST"), 405, "invalid_request_error", "method_not_allowed", id="method"),
    pytest.param(errors.content_blocked("secrets"), 400, "invalid_request_error", "content_blocked", id="blocked"),
    pytest.param(errors.guard_unavailable(), 503, "server_error", "guard_unavailable", id="guard"),
    pytest.param(errors.engine_unavailable(), 503, "server_error", "engine_unavailable", id="engine"),
    pytest.param(errors.engine_timeout("a token", 2), 503, "server_error", "engine_timeout", id="timeout"),
    pytest.param(errors.engine_failed(), 502, "server_error", "engine_failed", id="failed"),
    pytest.param(errors.too_many_requests(), 429, "rate_limit_error", "too_many_requests", id="too many"),
    pytest.param(errors.draining(), 503, "server_error", "draining", id="draining"),
    pytest.param(errors.not_ready("why"), 503, "server_error", "not_ready", id="not ready"),
    pytest.param(errors.internal_error(), 500, "server_error", "internal_error", id="bug"),
]


@pytest.mark.parametrize(("error", "status", "kind", "code"), CASES)
def test_each_case_has_its_status_and_a_whole_envelope(error: ApiError, status: int, kind: str, code: str) -> None:
    envelope = msgspec.json.decode(error.encode())
    assert (error.status, error.code) == (status, code)
    assert set(envelope) == {"error"}
    assert set(envelope["error"]) == {"message", "type", "param", "code"}
    assert (envelope["error"]["type"], envelope["error"]["code"]) == (kind, code)
    assert envelope["error"]["message"].endswith((".", "x"))


@pytest.mark.parametrize(("error", "status", "kind", "code"), CASES)
def test_clients_are_told_when_to_come_back_where_that_helps(
    error: ApiError, status: int, kind: str, code: str
) -> None:
    assert (error.retry_after is not None) == (status in {429, 503}), (kind, code)


def test_clients_do_not_all_come_back_at_once() -> None:
    seconds = {errors.too_many_requests().retry_after for _ in range(200)}
    assert seconds == set(range(1, errors.LONGEST_RETRY_AFTER + 1))


def test_an_error_survives_the_way_between_components() -> None:
    sent = errors.unsupported("tools", "tools: calling them")
    got = decode_error(sent.status, sent.encode(), retry_after=2)
    assert (got.status, got.body, got.retry_after) == (400, sent.body, 2)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"detail": "no"}', b'{"error": "text"}', b'{"error": {"message": "\xff"}}', b"[" * 5000],
    ids=["empty", "html", "other envelope", "error as text", "invalid UTF-8", "deep"],
)
def test_what_is_no_envelope_is_an_engine_that_is_not_there(body: bytes) -> None:
    assert decode_error(500, body).code == "engine_unavailable"


@pytest.mark.parametrize(
    ("code", "status"),
    [("engine_failed", 502), ("engine_timeout", 503), (None, 503)],
    ids=["failed", "timeout", "none"],
)
def test_an_error_event_has_a_status_for_clients_that_do_not_stream(code: str | None, status: int) -> None:
    assert event_error(ErrorBody("m", "server_error", None, code)).status == status


def test_without_a_code_the_type_names_an_error() -> None:
    arguments: dict[str, Any] = {"type": "server_error"}
    assert ApiError(500, None, "m", **arguments).code == "server_error"
