"""What can go wrong with the API server, in the three classes that decide what follows."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

MESSAGE_LIMIT = 500

_TRANSIENT = {
    HTTPStatus.UNAUTHORIZED,  # the token is being renewed
    HTTPStatus.FORBIDDEN,  # roles, quotas and policies change without any event for the object that they refuse
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,  # somebody was faster: look again
    HTTPStatus.GONE,  # a page of a list is too old: list again
    HTTPStatus.TOO_MANY_REQUESTS,
}
_VALUE = re.compile(r"((?:Invalid|Unsupported|Duplicate) value): .*: ")


class ApiError(Exception):
    """The API server did not do what was asked; the message never holds a value that was sent."""

    def __init__(self, request: str, message: str, status: int | None = None, reason: str = "") -> None:
        """`request` names verb and object, `status` is HTTP's or None without an answer, `reason` Kubernetes' own."""
        super().__init__(f"{request}: {message}" if status is None else f"{request}: {status} {message}")
        self.request = request
        self.message = message
        self.status = status
        self.reason = reason


class TransientError(ApiError):
    """It may work later without anybody changing the object: retry; `retry_after` is the server's wish in seconds."""

    retry_after: float | None = None


class TerminalError(ApiError):
    """The same request will fail for ever: wait for a change."""


class NotFoundError(ApiError):
    """There is no such object, or no such namespace or kind."""


def from_answer(request: str, status: int, body: bytes, retry_after: str | None) -> ApiError:
    """The error for an HTTP answer of 400 and above.

    403 is transient: a role given back, a raised quota or a changed admission policy sends no event for the object.
    400, 413, 422 and the rest of the 4xx are terminal: the server has understood the request and refuses its content.
    """
    document = _status_document(body)
    message = _message(document) or _phrase(status)
    reason = str(document.get("reason", ""))
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError(request, message, status, reason)
    if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        error = TransientError(request, message, status, reason)
        error.retry_after = _seconds(retry_after) or _seconds(_details(document).get("retryAfterSeconds"))
        return error
    return TerminalError(request, message, status, reason)


def no_answer(request: str, error: BaseException) -> TransientError:
    """The error for a request that brought no answer; only the type of `error` is told, its text may hold anything."""
    what = "no answer in time" if isinstance(error, TimeoutError) else f"no connection ({type(error).__name__})"
    return TransientError(request, what)


def _status_document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) and document.get("kind") == "Status" else {}


def _details(document: dict[str, Any]) -> dict[str, Any]:
    details = document.get("details")
    return details if isinstance(details, dict) else {}


def _message(document: dict[str, Any]) -> str:
    causes = _details(document).get("causes") or []
    parts = [f"{cause.get('field')}: {_without_value(cause.get('message', ''))}" for cause in causes]
    return ("; ".join(parts) if parts else _without_value(str(document.get("message", ""))))[:MESSAGE_LIMIT]


def _without_value(message: str) -> str:
    return _VALUE.sub(r"\1: ", message)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


def _seconds(value: object) -> float | None:
    try:
        seconds = float(str(value))
    except ValueError:
        return None
    return seconds if seconds > 0 else None
