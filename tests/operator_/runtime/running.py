"""Whole operators in the test's process, kopf's thread included, against the small API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from llmops_operator import names
from llmops_operator.handlers import watch
from llmops_operator.runtime.leadership import Timing
from llmops_operator.runtime.operator import Operator, Options
from llmops_operator.settings import Settings
from tests.support.apiserver import FakeApi, Logged, until

Document = dict[str, Any]

NAMESPACE = "team-a"
FAST = Timing(lease=2, deadline=1.5, retry=0.1)
SETTINGS = Settings(resync=timedelta(hours=1))
CHILDREN = [
    ("ServiceAccount", "chat"),
    ("ConfigMap", "chat-sidecars"),
    ("Service", "chat"),
    ("Deployment", "chat"),
    ("PodDisruptionBudget", "chat"),
    ("NetworkPolicy", "chat"),
]


@asynccontextmanager
async def running(api: FakeApi, who: str = "one", settings: Settings = SETTINGS) -> AsyncIterator[asyncio.Task[None]]:
    """An operator for the time of a block; it is ended as TERM ends it, and what it raised is raised."""
    ended = asyncio.Event()
    options = Options(identity=who, port=0, timing=FAST)
    task = asyncio.create_task(Operator(api.connection(who), settings, options, watch).run(ended))
    try:
        yield task
        assert not task.done(), "the operator ended by itself"
    finally:
        ended.set()
        await task


def deployment(name: str = "chat", **spec: Any) -> Document:
    model = {"model": {"name": "support-chat"}, "engine": {"modelRepository": {"image": "triton-cpu:1"}}}
    return own("LLMDeployment", name, {**model, **spec})


def template(content: str = "{{ question }}", name: str = "support") -> Document:
    spec = {"messages": [{"role": "user", "content": content}], "variables": [{"name": "question", "required": True}]}
    return own("PromptTemplate", name, spec)


def own(kind: str, name: str, spec: Document) -> Document:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": names.API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def pod(name: str, ip: str) -> Document:
    """A ready pod of `chat`."""
    metadata = {"name": name, "namespace": NAMESPACE, "labels": names.labels("chat")}
    status = {"podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}


def condition(api: FakeApi, kind: str, name: str = "chat", of: str = "LLMDeployment") -> Document | None:
    document = api.find(of, NAMESPACE, name) or {}
    found = document.get("status", {}).get("conditions", [])
    return next((one for one in found if one["type"] == kind), None)


def missing(api: FakeApi) -> list[tuple[str, str]]:
    return [(kind, name) for kind, name in CHILDREN if api.find(kind, NAMESPACE, name) is None]


async def settled(api: FakeApi, seconds: float = 10.0) -> None:
    """Wait until all children are there and their status was written."""
    await until(lambda: not missing(api), "all children", seconds)
    await until(lambda: condition(api, "Ready"), "a status", seconds)


async def at_rest(api: FakeApi) -> None:
    """Wait until nothing has been written for a while."""
    async with asyncio.timeout(15):
        while await quiet(api, 0.4):
            pass


async def quiet(api: FakeApi, seconds: float = 0.7) -> list[Logged]:
    """The writes of the next so many seconds."""
    before = len(api.log)
    await asyncio.sleep(seconds)
    return api.writes(since=before)
