"""`llmops-operator run` as a process, against the small API server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.operator_.runtime.running import deployment, settled, template
from tests.support.apiserver import FakeApi, until

SECRET = "hunter2-hunter2"
IDLE_MEBIBYTES = 120


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi().serve() as server:
        yield server


def kubeconfig(path: Path, server: str) -> str:
    named = [{"name": "x", "context": {"cluster": "x", "user": "x"}}]
    clusters = [{"name": "x", "cluster": {"server": server}}]
    users = [{"name": "x", "user": {"token": SECRET}}]
    document = {"current-context": "x", "contexts": named, "clusters": clusters, "users": users}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(path)


class Process:
    """The command, and the lines that it has logged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(json.loads(line))

    @property
    def text(self) -> str:
        return json.dumps(self.lines)

    def port(self) -> int | None:
        found = re.search(r"metrics on port (\d+)", self.text)
        return int(found[1]) if found else None

    async def get(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port()}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    def resident_mebibytes(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024


@asynccontextmanager
async def running(api: FakeApi, path: Path, **variables: str) -> AsyncIterator[Process]:
    environment = {**os.environ, "KUBECONFIG": kubeconfig(path / "config", api.url), "LLMOPS_PORT": "0", **variables}
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "llmops_operator", "run")
    made = Process(await asyncio.create_subprocess_exec(*command, env=environment, stdout=pipe))
    try:
        await until(made.port, "a port", 30)
        yield made
    finally:
        if made.process.returncode is None:
            made.process.kill()
        await made.process.wait()
        await made.reading


async def test_it_serves_tells_and_ends_with_term(api: FakeApi, tmp_path: Path) -> None:
    api.put(deployment())
    api.put(template(f"{SECRET} {{{{ question }}}}"))
    async with running(api, tmp_path, LLMOPS_IDENTITY="me", LLMOPS_LOG_LEVEL="debug") as operator:
        await settled(api, 20)
        assert (await operator.get("/healthz"))[0] == 200
        assert await operator.get("/readyz") == (200, "ok\n")
        figures = (await operator.get("/metrics"))[1]
        assert "llmops_leader 1.0" in figures
        assert 'llmops_writes_total{kind="Deployment",verb="apply"} 1.0' in figures
        memory = operator.resident_mebibytes()
        started = asyncio.get_running_loop().time()
        operator.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(operator.process.wait(), 10) == 0
        took = asyncio.get_running_loop().time() - started
    assert took < 4
    assert memory < IDLE_MEBIBYTES
    lease = api.find("Lease", "llmops-system", "llmops-operator") or {}
    assert lease["spec"]["holderIdentity"] == ""
    assert SECRET not in operator.text
    assert {"time", "level", "logger", "message"} <= set(operator.lines[0])
    assert {one.who for one in api.log} == {SECRET}


async def test_a_killed_leader_is_replaced(api: FakeApi, tmp_path: Path) -> None:
    async with running(api, tmp_path, LLMOPS_IDENTITY="one") as first:
        await until(lambda: "leading as one" in first.text, "one leads", 20)
        async with running(api, tmp_path, LLMOPS_IDENTITY="two") as second:
            assert (await second.get("/readyz"))[0] in (200, 503)
            first.process.kill()
            await first.process.wait()
            api.put(deployment())
            await settled(api, 25)
            assert "leading as two" in second.text


async def test_without_crds_it_is_healthy_and_says_why_it_is_not_ready(api: FakeApi, tmp_path: Path) -> None:
    api.hidden_groups.add("llmops.dev")
    async with running(api, tmp_path) as operator:
        assert (await operator.get("/healthz"))[0] == 200
        status, reason = await operator.get("/readyz")
        assert (status, "llmops-crds" in reason) == (503, True)
        operator.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(operator.process.wait(), 10) == 0
