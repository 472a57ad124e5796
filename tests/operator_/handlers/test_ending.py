from __future__ import annotations

import asyncio
import contextlib

import pytest

from llmops_operator.handlers import ending
from llmops_operator.handlers.ending import end


async def stubborn(cancels: int) -> None:
    """Swallows so many cancels."""
    for _ in range(cancels):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


def others() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def started(*tasks: asyncio.Task[None]) -> list[asyncio.Task[None]]:
    await asyncio.sleep(0)
    return list(tasks)


async def test_a_task_that_swallows_cancels_is_cancelled_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "ORDERLY_SECONDS", 0.01)
    roots = await started(asyncio.create_task(stubborn(3)))
    await end(roots)
    assert roots[0].cancelled()


async def test_a_task_that_a_task_starts_while_it_ends_is_ended_too() -> None:
    async def leaves_another() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            made.append(asyncio.create_task(stubborn(1)))

    made: list[asyncio.Task[None]] = []
    await end(await started(asyncio.create_task(leaves_another())))
    assert made[0].cancelled()
    assert not others()


async def test_the_root_tasks_end_in_their_own_order() -> None:
    async def takes_its_time() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            in_order.append("the root")

    async def helper() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            in_order.append("its helper")

    in_order: list[str] = []
    root, _ = await started(asyncio.create_task(takes_its_time()), asyncio.create_task(helper()))
    await end([root])
    assert in_order == ["the root", "its helper"]


async def test_what_never_ends_is_given_up_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ending, "ORDERLY_SECONDS", 0.01)
    monkeypatch.setattr(ending, "END_SECONDS", 0.1)
    roots = await started(asyncio.create_task(stubborn(10_000)), asyncio.create_task(stubborn(0)))
    await end(roots)
    assert roots[1].cancelled()
    assert "1 tasks of the watches do not end" in caplog.text
    monkeypatch.setattr(ending, "END_SECONDS", 30)
    monkeypatch.setattr(ending, "AGAIN_SECONDS", 0)
    await end(roots)
