"""Tasks of the data plane: each is held by somebody, and bounded by something; none outlives its request."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

import llmops_sidecars
from llmops_sidecars.openai.errors import engine_failed
from tests.sidecars_.guard.kit import SECRET, FakeCache, asking, guarded, question, said
from tests.support.asgi import eventually

ROOT = Path(llmops_sidecars.__file__).parent
STARTERS = frozenset({"create_task", "ensure_future"})

BOUNDS = {
    "__main__.py:_serve": "one a process, cancelled at its end",
    "cache/flight.py:run": "held by its flight; as many as generations, which the engine's slots bound",
    "cache/shared/sharing.py:run": "held here and cancelled when another store is named; one at a time",
    "cache/shared/store.py:run": "a group of three, as long as the store is in use",
    "engine/choices.py:_together": "held here and cancelled at the end; as many as choices, 4 at most",
    "engine/current.py:_close_if_idle": "held in a set; one a change of the engine",
    "engine/lingering.py:_start": "held in a set; two a generation, the second for STOPS seconds",
    "engine/lingering.py:_end": "held and cancelled here; one a generation that is asked to end",
    "engine/triton_driver.py:embed": "held here and cancelled at the end; one a text of a request, a few of which run",
    "fetch/command.py:_run": "one a process",
    "fetch/download.py:_fetch_all": "a group of as many as files, a few of which run",
    "fetch/download.py:run": "held here and cancelled at the end; one a process",
    "guard/access/issuer.py:look": "held by the issuer; one at a time",
    "guard/admin.py:start_drain": "held by the application; one a process",
    "guard/app.py:run": "a group of three, as long as the process lives",
    "proxy/asgi.py:when_left": "held by the receiver and cancelled at the end; one a request of a server not our own",
    "proxy/inprocess.py:__init__": "held by the exchange, which waits for it; one a request",
    "proxy/server.py:serve": "held here; one a listener, and a few a process",
}
"""Where tasks are started, and why there are never too many. Whoever starts another kind says so here."""


def started() -> set[str]:
    """The functions in which the data plane starts tasks."""
    found = set()
    for path in ROOT.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
                if any(isinstance(call, ast.Attribute) and call.attr in STARTERS for call in calls):
                    found.add(f"{path.relative_to(ROOT)}:{function.name}")
    return found


def test_of_every_task_it_is_known_what_bounds_it() -> None:
    assert started() == set(BOUNDS)


def test_no_task_is_started_that_nobody_holds() -> None:
    """A call that is a statement of its own holds nothing: the task may be collected while it runs."""
    dropped = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                call = node.value.func
                if isinstance(call, ast.Attribute) and call.attr in STARTERS:
                    dropped.append(f"{path.relative_to(ROOT)}: {ast.unparse(call)}")
    assert all(one.endswith(("tasks.create_task", "group.create_task")) for one in dropped), dropped


@pytest.mark.parametrize("way", ["whole", "streamed", "blocked", "failed", "left"])
async def test_no_task_outlives_its_request(tmp_path: Path, way: str) -> None:
    never = asyncio.Event()
    scripts: dict[str, list[bytes | asyncio.Event]] = {
        "failed": [engine_failed().encode()],
        "left": [*said("Hello ")[:2], never],
    }
    answer: list[bytes | asyncio.Event] = [*said("Hello ", "there")]
    cache = FakeCache(scripts.get(way, answer), status=502 if way == "failed" else 200)
    guard = guarded(tmp_path, cache)
    body = question(f"It is {SECRET}" if way == "blocked" else "Hello", stream=way != "whole")
    before = asyncio.all_tasks()

    async def ask() -> None:
        async with asking(guard, body) as pieces:
            if way == "left":
                await anext(pieces)
                return
            async for _ in pieces:
                pass

    await asyncio.gather(*(ask() for _ in range(50)))
    await eventually(lambda: asyncio.all_tasks() == before)
