"""What is known of one request: filled while it runs, written once, as a log line and as metrics. Never any text."""

from __future__ import annotations

import logging
import re
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Histogram

from llmops_sidecars.contract import Action
from llmops_sidecars.guard.access.caller import ANONYMOUS
from llmops_sidecars.guard.access.quota import Quota
from llmops_sidecars.guard.audit import Trail
from llmops_sidecars.guard.metrics import GuardMetrics
from llmops_sidecars.openai.answers import Usage
from llmops_sidecars.proxy.asgi import Scope, header

OUTCOMES = frozenset(
    {
        "ok",
        "access_unavailable",
        "answer_blocked",
        "answer_not_conforming",
        "client_left",
        "body_too_large",
        "body_too_slow",
        "concurrency_limit_exceeded",
        "consent_required",
        "content_blocked",
        "draining",
        "engine_failed",
        "engine_timeout",
        "engine_unavailable",
        "guard_unavailable",
        "internal_error",
        "invalid_api_key",
        "invalid_header",
        "invalid_json",
        "invalid_token",
        "invalid_value",
        "invalid_variable",
        "missing_api_key",
        "missing_field",
        "missing_variable",
        "model_not_found",
        "not_ready",
        "not_remembered",
        "permission_denied",
        "prompt_hidden",
        "prompt_not_found",
        "rate_limit_exceeded",
        "refused_by_provider",
        "too_many_requests",
        "unknown_variable",
        "unsupported_encoding",
        "unsupported_parameter",
    }
)
"""What metrics and records say; a code that only a provider knows is `other`, so that labels stay few."""

AUDITED = ("request_id", "path", "revision", "prompt", "status", "outcome", "verdicts")
"""Fields of a line that are in an audit record, too."""

HITS = frozenset({"hit", "hit-shared"})
TOO_MANY, LEAST_ERROR = 429, 400
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
CACHE_TIMING = re.compile(r"cache;dur=(\d{1,9}\.\d{1,3})")
UNKNOWN_REVISION = "none"

_log = logging.getLogger("llmops.access")


@dataclass
class Record:
    """One request. Times are seconds of a monotonic clock; `None` for what has not happened."""

    request_id: str
    generation: str
    """What the cache knows it by: unique, also when a client gives two requests one id."""
    started: float
    path: str
    tenant: str = ""
    """Who asks, once that is known."""
    tenant_label: str = ""
    """The tenant in metrics, which know a bounded number of them; empty for none."""
    partition: str = ""
    """Who shares remembered answers with whom."""
    quota: Quota | None = None
    revision: str = UNKNOWN_REVISION
    prompt: str = ""
    status: int = 0
    outcome: str = "ok"
    streamed: bool = False
    ended: bool = False
    """Whether all of the answer has been given to the server: a client may leave then."""
    cache: str = ""
    cache_key: str = ""
    age: str = ""
    """How old a remembered answer is, in seconds."""
    engine: str = ""
    """Which engine answered: the primary one or the fallback; nothing where the cache did."""
    usage: Usage = field(default_factory=Usage)
    findings: dict[tuple[str, str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    """Findings by rule, kind, direction (input or output) and action."""
    errors: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """Checks that could not run, by rule and direction."""
    checked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Characters that rules have looked at, by direction."""
    waited: list[tuple[str, float]] = field(default_factory=list)
    """How long each rule took that had to be waited for."""
    audit: Trail | None = None
    """What auditors read, where the policy wants them to."""
    queue_seconds: float = 0.0
    access_seconds: float = 0.0
    body_seconds: float = 0.0
    parse_seconds: float = 0.0
    render_seconds: float = 0.0
    check_seconds: float = 0.0
    cache_seconds: float = 0.0
    upstream_seconds: float = 0.0
    texts: int = 0
    """Events with text that have come from the engine."""
    first_token: float | None = None
    last_token: float | None = None
    _between: Histogram | None = None
    """The series of the times between tokens, looked up once."""

    def timing(self, now: float) -> str:
        """The stages so far as the value of a `Server-Timing` header, in milliseconds.

        `cache` is what the cache took itself, `upstream` the wait for the engine's first event behind it, `total` all
        until now: for streams, until their head leaves.
        """
        return (
            f"queue;dur={self.queue_seconds * 1000:.2f}, access;dur={self.access_seconds * 1000:.2f}, "
            f"body;dur={self.body_seconds * 1000:.2f}, parse;dur={self.parse_seconds * 1000:.2f}, "
            f"render;dur={self.render_seconds * 1000:.2f}, guard;dur={self.check_seconds * 1000:.2f}, "
            f"cache;dur={self.cache_seconds * 1000:.2f}, upstream;dur={self.upstream_seconds * 1000:.2f}, "
            f"total;dur={(now - self.started) * 1000:.2f}"
        )

    def answering(self, headers: Mapping[str, str], seconds: float) -> None:
        """The head of an answer has come from below, after so many seconds; it says what the cache did."""
        self.cache, self.engine = headers.get("x-llmops-cache", ""), headers.get("x-llmops-engine", "")
        self.cache_key, self.age = headers.get("x-llmops-cache-key", ""), headers.get("age", "")
        own = seconds if self.cache in HITS else min(_own_seconds(headers.get("server-timing", "")), seconds)
        self.cache_seconds += own
        self.upstream_seconds += seconds - own

    def headers(self, now: float) -> list[tuple[bytes, bytes]]:
        """What every answer says about itself."""
        fields = {
            "x-request-id": self.request_id,
            "x-llmops-revision": self.revision,
            "x-llmops-prompt": self.prompt,
            "x-llmops-cache": self.cache,
            "x-llmops-cache-key": self.cache_key,
            "age": self.age,
            "x-llmops-engine": self.engine,
            "server-timing": self.timing(now),
        }
        if self.quota is not None:
            fields |= self.quota.headers()
        return [(name.encode(), value.encode("latin-1", "replace")) for name, value in fields.items() if value]

    def token(self, now: float, metrics: GuardMetrics) -> None:
        """An event with text has come from the engine."""
        self.texts += 1
        if self.first_token is None:
            self.first_token = now
            self._between = metrics.inter_token.labels(self.revision)
            metrics.first_token.labels(self.revision).observe(now - self.started)
        elif self.last_token is not None and self._between is not None:
            self._between.observe(now - self.last_token)
        self.last_token = now

    def settle(self) -> None:
        """Charge the tenant what the request has cost: what was counted, or at least what was seen of it."""
        if self.quota is not None:
            self.quota.settle(self.usage.prompt_tokens + self.usage.completion_tokens, least=self.texts)

    @property
    def acted_on(self) -> bool:
        """Whether a finding did more than being reported."""
        return any(action != Action.REPORT for *_, action in self.findings)

    def found(
        self, direction: str, counts: Mapping[tuple[str, str, str], int], errors: Iterable[str], checked: int = 0
    ) -> None:
        """Take over what was found in one direction, by rule, kind and action, and which rules could not run.

        `checked`: in how many characters.
        """
        self.checked[direction] += checked
        for (rule, kind, action), count in counts.items():
            self.findings[rule, kind, direction, action] += count
        for rule in errors:
            self.errors[rule, direction] += 1

    def took(self, seconds: Iterable[tuple[str, float]]) -> None:
        """Note how long rules took."""
        self.waited += seconds

    def write(self, now: float, metrics: GuardMetrics) -> None:
        """Count it, and write the line."""
        self.outcome = self.outcome if self.outcome in OUTCOMES else "other"
        metrics.requests.labels(self.revision, self.outcome).inc()
        metrics.seconds.labels(self.revision).observe(now - self.started)
        metrics.tokens.labels(self.revision, "input").inc(self.usage.prompt_tokens)
        metrics.tokens.labels(self.revision, "output").inc(self.usage.completion_tokens)
        for (rule, _, direction, action), count in self.findings.items():
            metrics.verdicts.labels(self.revision, rule, direction, action).inc(count)
        for (rule, direction), count in self.errors.items():
            metrics.errors.labels(self.revision, rule, direction).inc(count)
        for rule, seconds in self.waited:
            metrics.waited.labels(self.revision, rule).observe(seconds)
        if self.tenant_label:
            metrics.tenant_requests.labels(self.tenant_label, _result(self.status)).inc()
            metrics.tenant_tokens.labels(self.tenant_label, "input").inc(self.usage.prompt_tokens)
            metrics.tenant_tokens.labels(self.tenant_label, "output").inc(self.usage.completion_tokens)
        if self.prompt:
            name, _, version = self.prompt.partition("@")
            metrics.prompts.labels(name, version, self.outcome).inc()
        if self.cache:
            metrics.cache.labels(self.revision, self.cache).inc()
        if self.audit is None and not _log.isEnabledFor(logging.INFO):
            return
        line = self._line(now)
        _log.info("request", extra=line)
        if self.audit is not None:
            errors = ((rule, direction, count) for (rule, direction), count in sorted(self.errors.items()))
            self.audit.write({name: line[name] for name in AUDITED} | {"tenant": self._who}, self.checked, errors)

    @property
    def _who(self) -> str:
        """The tenant, once it is known who asks; otherwise who sends another credential is told apart."""
        return self.partition if self.tenant == ANONYMOUS else self.tenant

    def _line(self, now: float) -> dict[str, Any]:
        first = None if self.first_token is None else _milliseconds(self.first_token - self.started)
        return {
            "request_id": self.request_id,
            "tenant": self.tenant,
            "path": self.path,
            "revision": self.revision,
            "prompt": self.prompt,
            "status": self.status,
            "outcome": self.outcome,
            "streamed": self.streamed,
            "cache": self.cache,
            "engine": self.engine,
            "input_tokens": self.usage.prompt_tokens,
            "output_tokens": self.usage.completion_tokens,
            "verdicts": [
                {"rule": rule, "kind": kind, "direction": direction, "action": action, "count": count}
                for (rule, kind, direction, action), count in sorted(self.findings.items())
            ],
            "queue_ms": _milliseconds(self.queue_seconds),
            "first_token_ms": first,
            "total_ms": _milliseconds(now - self.started),
        }


def begin(scope: Scope, now: float) -> Record:
    """A record for a new request, under the caller's id when it is sane."""
    request_id = request_id_of(scope)
    generation = f"{request_id}.{secrets.token_hex(6)}"
    return Record(request_id, generation, now, scope["path"])


def request_id_of(scope: Scope) -> str:
    """The caller's id when it is sane, else a new one."""
    asked = header(scope, b"x-request-id") or ""
    return asked if SANE_ID.fullmatch(asked) else secrets.token_hex(16)


def _result(status: int) -> str:
    """What became of a request, in few words; without a status its client has left."""
    if status == TOO_MANY:
        return "limited"
    if not status:
        return "left"
    return "served" if status < LEAST_ERROR else "refused"


def _own_seconds(timing: str) -> float:
    """What the cache says that it took itself; nothing when it does not say."""
    found = CACHE_TIMING.fullmatch(timing)
    return float(found[1]) / 1000 if found else 0.0


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
