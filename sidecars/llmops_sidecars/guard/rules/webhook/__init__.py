"""A service outside that judges texts: one question for all texts of a request, one for those of an answer.

The question and its answer are documented for those who write such services (docs/guard.md); both are versioned. What
is not answered in time, in that form, with 200, is an error, and so is a question while too many have failed of late.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from llmops_sidecars.contract import Action, WebhookRule
from llmops_sidecars.guard.rules.finding import Check, Context, Finding, Size, Weigh
from llmops_sidecars.guard.rules.webhook.breaker import Breaker
from llmops_sidecars.guard.rules.webhook.client import Client, Forbidden, is_inside

RULE = "webhook"
VERSION = 1
ACTIONS = frozenset({Action.REPORT, Action.BLOCK})
OK = 200

MOST_BYTES = 16 * 1024
"""Of an answer."""

SIGNATURE = "x-llmops-signature"
"""Seconds since 1970, and the HMAC-SHA256 of them, a full stop, and the body: `t=…,v1=…`."""

MARGIN_SECONDS = 0.5
"""What a check may take beyond the question's own time."""


class PolicyName(Struct, frozen=True):
    """Which policy asks."""

    name: str
    version: str


class Question(Struct, frozen=True):
    """What is asked. `tenant` is a digest of the caller's credential; `texts` are as they are forwarded."""

    version: int
    id: str
    direction: str
    tenant: str
    policy: PolicyName
    texts: tuple[str, ...]


class Answer(Struct, frozen=True):
    """What is answered; other fields are ignored. `kind` goes into records and refusals, so it must not be a text."""

    action: Literal["Pass", "Report", "Block"]
    kind: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")] = "webhook"


class WebhookError(Exception):
    """There is no answer; the message says why, without any text."""


def make(rule: WebhookRule, forbidden: Forbidden = is_inside) -> Check:
    """The rule for its URL; raises ValueError for one that cannot be asked, and for an unknown action.

    `forbidden` says which addresses are never connected to, whatever name leads there.
    """
    if rule.action not in ACTIONS:
        raise ValueError(f"webhook: the action is Block or Report, not {rule.action}")
    client, breaker = Client(rule.url, rule.authorities_file, forbidden), Breaker()

    def bind(context: Context) -> Weigh:
        async def weigh(size: Size) -> Iterable[Finding]:
            if not size.texts:
                return ()
            answer = await breaker.tried(lambda: _asked(rule, client, _question(context, size)))
            return _findings(answer, rule.action)

        return weigh

    return Check(RULE, bind_weigh=bind, seconds=rule.timeout_seconds + MARGIN_SECONDS)


def _question(context: Context, size: Size) -> Question:
    name, version = context.policy
    return Question(VERSION, context.request, context.direction, context.tenant, PolicyName(name, version), size.texts)


async def _asked(rule: WebhookRule, client: Client, question: Question) -> Answer:
    body = msgspec.json.encode(question)
    async with asyncio.timeout(rule.timeout_seconds):
        status, said = await client.post(_headers(rule, body, time.time), body, MOST_BYTES)
    if status != OK:
        raise WebhookError(f"the webhook answers with status {status}")
    try:
        return msgspec.json.decode(said, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WebhookError("the webhook's answer has another form") from error


def _headers(rule: WebhookRule, body: bytes, now: Callable[[], float]) -> dict[str, str]:
    """The files are read each time: a changed Secret counts from the next question on."""
    headers = {"content-type": "application/json", "accept": "application/json"}
    if rule.token_file is not None:
        headers["authorization"] = f"Bearer {_content(rule.token_file).decode('latin-1')}"
    if rule.key_file is not None:
        seconds = str(int(now()))
        signature = hmac.new(_content(rule.key_file), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"t={seconds},v1={signature}"
    return headers


def _content(path: str) -> bytes:
    content = Path(path).read_bytes().strip()
    if not content:
        raise WebhookError("a file of the webhook is empty")
    return content


def _findings(answer: Answer, strongest: Action) -> Iterable[Finding]:
    if answer.action == "Pass":
        return ()
    action = strongest if answer.action == "Block" else Action.REPORT
    return (Finding(0, 0, RULE, answer.kind, "", action),)
