from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest

from llmops_operator.runtime import supervisor as module
from llmops_operator.runtime.supervisor import Supervisor
from tests.support.apiserver import until


class Watch:
    """Does what its script says at each start, then waits until it is stopped."""

    def __init__(self, *script: BaseException | None) -> None:
        self.script = list(script)
        self.threads: list[str] = []
        self.stopped = False

    async def __call__(self, stop: asyncio.Event) -> None:
        self.threads.append(threading.current_thread().name)
        if self.script:
            step = self.script.pop(0)
            if step is not None:
                raise step
            return
        await stop.wait()
        self.stopped = True


@pytest.fixture
async def supervised(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Supervisor]]:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.01)
    made: list[Supervisor] = []
    yield made
    for one in made:
        await one.stop()


async def test_it_runs_in_a_thread_of_its_own_and_stops_when_asked(supervised: list[Supervisor]) -> None:
    watch = Watch()
    supervisor = Supervisor("watches", watch, time.monotonic)
    supervised.append(supervisor)
    supervisor.start()
    await until(lambda: watch.threads == ["watches"], "started")
    await supervisor.stop()
    assert watch.stopped
    assert supervisor.starts == 1


@pytest.mark.parametrize(
    "death",
    [ValueError("what it died of"), asyncio.CancelledError(), None],
    ids=["error", "cancelled", "ended"],
)
async def test_whatever_it_dies_of_it_is_started_again(
    supervised: list[Supervisor], death: BaseException | None, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(death, death, death)
    supervisor = Supervisor("watches", watch, time.monotonic)
    supervised.append(supervisor)
    supervisor.start()
    await until(lambda: supervisor.starts == 4, "started again")
    assert "watches has ended; it is started again" in caplog.text


async def test_the_wait_grows_while_it_keeps_dying_and_starts_small_after_a_steady_time(
    supervised: list[Supervisor], caplog: pytest.LogCaptureFixture
) -> None:
    now = iter([0.0, 0.0, 0.0, 0.0, 0.0, module.STEADY_SECONDS + 1, 0.0])
    supervisor = Supervisor("watches", Watch(None, None, None), lambda: next(now, 0.0))
    supervised.append(supervisor)
    supervisor.start()
    await until(lambda: supervisor.starts == 4, "started again")
    waits = [record.args[1] for record in caplog.records if isinstance(record.args, tuple)]
    assert waits == [0.01, 0.02, 0.01]


async def test_one_that_was_never_started_can_be_stopped() -> None:
    await Supervisor("watches", Watch(), time.monotonic).stop()
