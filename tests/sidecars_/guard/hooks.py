"""A service that judges texts, at the wire, and a guard whose policy asks it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from llmops_sidecars.contract import Audit, Contract, OnError, PiiRule, Policy, WebhookRule
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.rules import webhook
from llmops_sidecars.guard.rules.finding import INPUT
from llmops_sidecars.guard.rules.webhook.client import SESSIONS
from llmops_sidecars.guard.serving import Serving, build
from llmops_sidecars.proxy.asgi import ASGIApp, Receive, Scope, Send, read_body
from tests.sidecars_.guard.kit import SUPPORT, Guard, contract, guarded
from tests.support.asgi import serving


def everywhere(_address: object) -> bool:
    """No address is forbidden: services of tests listen on loopback."""
    return False


@dataclass
class Service:
    """A service at the wire: it notes what it is asked, and answers what it is told to."""

    answer: object = field(default_factory=lambda: {"action": "Pass"})
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    wait: asyncio.Event | None = None
    questions: list[dict[str, Any]] = field(default_factory=list)
    received: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, 1 << 24)
        self.bodies.append(body)
        self.questions.append(msgspec.json.decode(body))
        self.received.append({name.decode(): value.decode() for name, value in scope["headers"]})
        if self.wait is not None:
            await self.wait.wait()
        content = self.answer if isinstance(self.answer, bytes) else msgspec.json.encode(self.answer)
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": content})


@contextlib.asynccontextmanager
async def serving_judge() -> AsyncIterator[tuple[Service, str]]:
    """A service and where it listens; the connections to it are closed at the end."""
    async with serving(service := Service()) as url:
        try:
            yield service, f"{url}/judge"
        finally:
            if service.wait is not None:
                service.wait.set()
            await SESSIONS.close()


def hooked(
    directory: Path,
    cache: ASGIApp,
    rule: WebhookRule,
    *,
    on_error: OnError = OnError.CLOSED,
    direction: str = "input",
    audit: Audit | UnsetType = UNSET,
) -> Guard:
    """A guard whose policy asks a service in one direction."""

    def make(used: Contract) -> Serving:
        serving = build(used)
        (served,) = serving.served
        check = replace(webhook.make(rule, everywhere), on_error=on_error)
        known = served.policy
        if direction == INPUT:
            known = replace(known, input=Rules((*known.input.checks, check)))
        else:
            known = replace(known, output=Rules((*known.output.checks, check)))
        return replace(serving, served=(replace(served, policy=known),))

    policy = Policy(name="strict", version="p7", input=(PiiRule(),), output=(PiiRule(),), audit=audit)
    return guarded(directory, cache, contract(policy=policy, templates=(SUPPORT,)), make=make)
