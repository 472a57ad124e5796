"""Asking the guards which configuration they run: `GET /config` on the administration port of their pods."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from http import HTTPStatus

import aiohttp

from llmops_operator import names
from llmops_operator.world import Pod, Report, Unreachable, report

DEADLINE_SECONDS = 1.0
ANSWER_BYTES = 64 * 1024
AT_ONCE = 64


class Guards:
    """Asks guards over HTTP; close it after use. Nothing that a pod answers can hold up or break a pass."""

    def __init__(self, port: int = names.ADMIN_PORT, seconds: float = DEADLINE_SECONDS) -> None:
        """`seconds` is the deadline for each answer."""
        self._port = port
        timeout = aiohttp.ClientTimeout(total=seconds)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=AT_ONCE))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def ask(self, pods: Iterable[Pod]) -> dict[str, Report | Unreachable]:
        """What each pod says whose guard runs, all asked at once, by the pod's name."""
        running = [pod for pod in pods if pod.guard_runs]
        answers = await asyncio.gather(*(self._ask(pod.ip) for pod in running))
        return {pod.name: answer for pod, answer in zip(running, answers, strict=True)}

    async def _ask(self, ip: str) -> Report | Unreachable:
        host = f"[{ip}]" if ":" in ip else ip
        try:
            async with self._session.get(f"http://{host}:{self._port}/config", allow_redirects=False) as answer:
                if answer.status != HTTPStatus.OK:
                    return Unreachable(f"it answers with status {answer.status}")
                return _report(await answer.content.read(ANSWER_BYTES))
        except TimeoutError:
            return Unreachable("no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Unreachable(f"no connection ({type(error).__name__})")


def _report(content: bytes) -> Report | Unreachable:
    try:
        return report(json.loads(content))
    except (ValueError, AttributeError):
        return Unreachable("its answer is not understood")
