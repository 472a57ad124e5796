"""The watches, by kopf in its safe subset: `on.event` and nothing that writes, delays or remembers.

No finalizers, annotations, timers, daemons or indices: each of them loses work on one failed write.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import aiohttp
import kopf

from llmops_operator import names
from llmops_operator.cluster import kinds
from llmops_operator.cluster.connection import open_session
from llmops_operator.handlers.ending import end
from llmops_operator.runtime.events import Event
from llmops_operator.runtime.operator import Wires

_log = logging.getLogger(__name__)
COLLECTIONS = frozenset(kind.plural for kind in kinds.WATCHED)
OURS = {names.LABEL_MANAGED_BY: names.MANAGED_BY}


class EndlessBackoff:
    """Seconds between tries of a request, for ever: with a finite list kopf ends at the last one."""

    def __iter__(self) -> Iterator[float]:
        """From one second to fifteen, with jitter."""
        wait = 1.0
        while True:
            yield wait * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load
            wait = min(wait * 2, 15.0)


async def watch(wires: Wires, stop: asyncio.Event) -> None:
    """Watch until `stop` is set; raises what kopf died of, which the end of any single watch can be.

    The loop must be its own: every task in it is ended.
    """
    asyncio.get_running_loop().set_exception_handler(_tell)
    sessions: list[aiohttp.ClientSession] = []
    tasks = await kopf.spawn_tasks(
        registry=_registry(wires, sessions),
        settings=_settings(),
        standalone=True,
        clusterwide=not wires.settings.namespaces,
        namespaces=wires.settings.namespaces,
    )
    try:
        done, _ = await asyncio.wait({*tasks, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(tasks)
        await asyncio.gather(*(session.close() for session in sessions))


def _tell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What kopf's tasks die of beside the first, in one line and without texts of others."""
    _log.warning("%s (%s)", context["message"], type(context.get("exception")).__name__)


def _is_list(target: str) -> bool:
    """Whether a request reads a list of a kind that is watched."""
    path, _, query = target.partition("?")
    return path.rpartition("/")[2] in COLLECTIONS and "watch=true" not in query.split("&")


def _registry(wires: Wires, sessions: list[aiohttp.ClientSession]) -> kopf.OperatorRegistry:
    """The handlers; every session that a login opens is noted in `sessions`, to be closed in the end."""
    registry = kopf.OperatorRegistry()

    def observed(target: str, status: int | None) -> None:
        wires.heard()
        if status == HTTPStatus.OK and _is_list(target):
            wires.listed()

    async def login(**_: Any) -> kopf.AiohttpSession:
        session = open_session(wires.connection, observed)
        sessions.append(session)
        return kopf.AiohttpSession(server=wires.connection.server, aiohttp_session=session)

    async def changed(event: Any, body: kopf.Body, **_: Any) -> None:
        wires.heard()
        wires.deliver(Event(dict(body), gone=event["type"] == "DELETED"))

    kopf.on.login(registry=registry)(login)
    for kind in kinds.OWN:
        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)(changed)
    for kind in (*kinds.CHILDREN, kinds.POD):
        kopf.on.event(kind.group, kind.version, kind.plural, labels=OURS, registry=registry)(changed)
    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = EndlessBackoff()
    settings.networking.enforce_retry_after = True
    settings.watching.server_timeout = 240
    settings.watching.connect_timeout = 5
    settings.watching.inactivity_timeout = 70
    settings.watching.chunk_size = 500
    settings.persistence.finalizer = f"{names.GROUP}/unused"
    settings.queueing.exit_timeout = 0.5
    settings.process.ultimate_exiting_timeout = None  # its SIGKILL would end the process, not the thread
    selector = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY}"
    for kind in (*kinds.CHILDREN, kinds.POD):
        settings.watching.label_selectors[kind.group, kind.plural] = selector
    return settings
