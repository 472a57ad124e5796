"""Errors as clients see them: OpenAI's envelope, and one exception that carries it.

The constructors below are the failure table of `docs/dev/dataplane.md`: a new case is a new function here. Messages
name the field and what to do, and never repeat what the client sent. Clients retry 408, 409, 429 and 5xx, so a refusal
that would be repeated is 400.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
from msgspec import Struct

LONGEST_RETRY_AFTER = 3
"""Seconds: refused clients come back after 1 to this many, so that they do not come back together."""


class ErrorBody(Struct, frozen=True):
    """What went wrong; all four fields are required by the specification, three of them may be null."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorEnvelope(Struct, frozen=True):
    """The only body that an error has."""

    error: ErrorBody


class ApiError(Exception):
    """A request that is answered with an error. `message` goes to the client as it is.

    `retry_after` is in seconds; `allow` is the method that the path takes.
    """

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        type: str = "invalid_request_error",  # noqa: A002 - the envelope's own word
        param: str | None = None,
        retry_after: int | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.retry_after, self.allow = status, retry_after, allow
        self.body = ErrorBody(message, type, param, code)

    @property
    def code(self) -> str:
        """What metrics and access records say of it."""
        return self.body.code or self.body.type

    def encode(self) -> bytes:
        """The envelope's JSON."""
        return msgspec.json.encode(ErrorEnvelope(self.body))


def decode_error(status: int, body: bytes, *, retry_after: int | None = None) -> ApiError:
    """The error that another component answered with; one that is no envelope becomes `engine_unavailable`."""
    try:
        error = msgspec.json.decode(body, type=ErrorEnvelope).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return engine_unavailable()
    return ApiError(status, error.code, error.message, type=error.type, param=error.param, retry_after=retry_after)


def event_error(body: ErrorBody) -> ApiError:
    """The error that an event of a stream carries; the status is for clients that do not stream."""
    return ApiError(
        502 if body.code in {"engine_failed", "answer_not_conforming"} else 503,
        body.code,
        body.message,
        type=body.type,
        param=body.param,
    )


def invalid_request(message: str, param: str | None = None, code: str | None = "invalid_value") -> ApiError:
    """400: the request is wrong in a way that only its author can mend."""
    return ApiError(400, code, message, param=param)


def invalid_json(reason: str) -> ApiError:
    """400: the body cannot be read at all."""
    return ApiError(400, "invalid_json", f"The request body is not valid JSON: {reason}.")


def unsupported(param: str, what: str) -> ApiError:
    """400: the API has it and this service does not."""
    return ApiError(400, "unsupported_parameter", f"{what} is not supported by this service.", param=param)


def no_embeddings() -> ApiError:
    """400: the engine generates text and nothing else."""
    message = "This service makes no embeddings; its engine must be an external one, or name its embedding model."
    return ApiError(400, "unsupported_parameter", message, param="model")


def missing_api_key() -> ApiError:
    """401: the request says nothing of its caller."""
    message = "You did not provide an API key: send it in the header 'Authorization: Bearer KEY', or in 'api-key'."
    return ApiError(401, "missing_api_key", message)


def invalid_api_key() -> ApiError:
    """401: the key is nobody's."""
    return ApiError(401, "invalid_api_key", "The API key is not valid here; use one that has been issued to you.")


def invalid_token(what: str) -> ApiError:
    """401: an access token that cannot be accepted; `what` says what is wrong with it."""
    return ApiError(401, "invalid_token", f"The access token {what}; get a new one.")


def permission_denied(what: str) -> ApiError:
    """403: the caller is known and may not; `what` is missing."""
    return ApiError(403, "permission_denied", f"The access token lacks the {what} that this service requires.")


def prompt_hidden() -> ApiError:
    """403: the policy keeps the texts of prompts from callers."""
    return ApiError(403, "prompt_hidden", "The policy of this service does not tell the texts of its prompts.")


def prompt_not_found(known: Sequence[str]) -> ApiError:
    """404: no template of this name is served."""
    told = ", ".join(known) or "none"
    return ApiError(404, "prompt_not_found", f"There is no such prompt template here; there are: {told}.")


def access_unavailable() -> ApiError:
    """503: whether the caller may ask cannot be found out."""
    return _unavailable("access_unavailable", "Access tokens cannot be checked at the moment; try again later.")


def body_too_large(limit: int) -> ApiError:
    """413: more than `limit` bytes."""
    return ApiError(413, "body_too_large", f"The request body is larger than {limit} bytes, the limit here.")


def body_too_slow() -> ApiError:
    """408: the body did not arrive in time."""
    return ApiError(408, "body_too_slow", "The request body did not arrive in time; send the request again.")


def head_too_slow() -> ApiError:
    """408: request line and header fields did not arrive in time."""
    return ApiError(408, "head_too_slow", "The request's headers did not arrive in time; send the request again.")


def head_too_large(limit: int) -> ApiError:
    """431: request line and header fields take more than `limit` bytes."""
    return ApiError(431, "head_too_large", f"The request's headers are larger than {limit} bytes, the limit here.")


def malformed_request() -> ApiError:
    """400: this is not HTTP."""
    return ApiError(400, "malformed_request", "The request cannot be read: it is not valid HTTP/1.1.")


def too_many_connections() -> ApiError:
    """503: this client, or all of them together, have as many connections as there may be."""
    return _unavailable("too_many_connections", "Too many connections are open; use fewer, or try again later.")


def compressed_body() -> ApiError:
    """415: a small body may unpack to a huge one."""
    return ApiError(415, "unsupported_encoding", "Send the request body uncompressed, without Content-Encoding.")


def model_not_found(model: str) -> ApiError:
    """404: `model` is what this service calls its model, not what was asked for."""
    return ApiError(
        404, "model_not_found", f"There is no such model here; the model's name is {model!r}.", param="model"
    )


def route_not_found() -> ApiError:
    """404: no such path."""
    return ApiError(404, "not_found", "There is nothing here; /openapi.json says what this service has.")


def method_not_allowed(allowed: str) -> ApiError:
    """405: the path exists; `allowed` is the method that it takes."""
    return ApiError(405, "method_not_allowed", f"This path takes {allowed} only.", allow=allowed)


def content_blocked(rule: str) -> ApiError:
    """400: the guard found something in the prompt; `rule` is the rule's name, never the text."""
    return ApiError(400, "content_blocked", f"The request was blocked by the content policy, rule {rule!r}.")


def consent_required(header: str | None, claim: str | None) -> ApiError:
    """403: the policy asks for the caller's consent, in a header or in a claim of its access token."""
    how = f"send the header {header}: true" if header else f"use an access token whose claim {claim!r} is true"
    message = f"This service processes requests only with the user's consent: {how}."
    return ApiError(403, "consent_required", message, type="permission_error")


def guard_unavailable() -> ApiError:
    """503: a rule could not run, and the policy says to refuse then."""
    message = "The request could not be checked against the content policy; try again later."
    return _unavailable("guard_unavailable", message)


def engine_unavailable(message: str = "The model is not available at the moment; try again later.") -> ApiError:
    """503: the engine is down, or failed before it said a word."""
    return _unavailable("engine_unavailable", message)


def engine_timeout(phase: str, seconds: float) -> ApiError:
    """503: the engine hangs. `phase` says what did not come: the first token, the next token, the end."""
    return _unavailable("engine_timeout", f"The model did not produce {phase} within {seconds:g} s.")


def engine_failed(message: str = "The model failed while it was answering.") -> ApiError:
    """502: the engine broke off; after the first event this is the last one."""
    return ApiError(502, "engine_failed", message, type="server_error")


def answer_not_conforming(reason: str) -> ApiError:
    """502: the answer is not what was asked for; `reason` says in what, and never repeats it."""
    message = f"The model's answer is not what was asked for: {reason}."
    return ApiError(502, "answer_not_conforming", message, type="server_error")


def too_many_requests(retry_after: int | None = None) -> ApiError:
    """429: all slots and the queue are taken."""
    seconds = jittered_retry_after() if retry_after is None else retry_after
    message = "Too many requests are being served at the moment; try again later."
    return ApiError(429, "too_many_requests", message, type="rate_limit_error", retry_after=seconds)


def rate_limit_exceeded(kind: str, per_minute: int, retry_after: int) -> ApiError:
    """429: the tenant has had its requests or tokens of this minute; `retry_after` is when the next may come."""
    message = f"Your limit of {per_minute} {kind} per minute is reached; try again in {retry_after} s."
    return ApiError(429, "rate_limit_exceeded", message, type=kind, retry_after=retry_after)


def concurrency_limit_exceeded(retry_after: int) -> ApiError:
    """429: as many of the tenant's own requests run and wait as may."""
    message = "As many of your requests are being served as may be at once; try again when one of them has ended."
    return ApiError(429, "concurrency_limit_exceeded", message, type="rate_limit_error", retry_after=retry_after)


def draining() -> ApiError:
    """503: this pod is about to go; another one answers."""
    return _unavailable("draining", "This server is shutting down; send the request again.")


def not_remembered() -> ApiError:
    """504: the request is to be answered without the engine (`only-if-cached`), and cannot be."""
    message = "No remembered answer to this request may be given, and Cache-Control says only-if-cached."
    return ApiError(504, "not_remembered", message, param="cache-control")


def not_ready(reason: str) -> ApiError:
    """503: no contract is loaded; `reason` is for the person who looks at the pod."""
    return _unavailable("not_ready", f"This server is not ready: {reason}.")


def internal_error() -> ApiError:
    """500: a bug. The log has the traceback, the client has the request id."""
    return ApiError(500, "internal_error", "The server failed on this request.", type="server_error")


def jittered_retry_after() -> int:
    """Seconds to wait, drawn anew each time."""
    return random.randint(1, LONGEST_RETRY_AFTER)  # noqa: S311 - spreads clients out, hides nothing


def _unavailable(code: str, message: str) -> ApiError:
    return ApiError(503, code, message, type="server_error", retry_after=jittered_retry_after())
