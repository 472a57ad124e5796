from __future__ import annotations

import asyncio

import pytest

from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.proxy.drain import Drain, Phase
from tests.support.asgi import eventually


async def test_requests_are_taken_for_a_while_and_then_refused() -> None:
    drain = Drain(linger_seconds=0.05)
    phases = [drain.phase]
    drain.start()
    phases.append(drain.phase)
    assert phases == [Phase.ACCEPTING, Phase.DRAINING]
    with drain.track():
        assert drain.in_flight == 1
    await eventually(lambda: drain.phase is Phase.REFUSING)
    with pytest.raises(ApiError) as caught, drain.track():
        pass
    assert (caught.value.status, caught.value.code, drain.in_flight) == (503, "draining", 0)


async def test_a_drain_waits_for_what_is_under_way() -> None:
    drain = Drain(linger_seconds=0.0)
    waiting = asyncio.create_task(drain.wait_drained())
    with drain.track():
        with drain.track():
            drain.start()
            await eventually(lambda: drain.phase is Phase.REFUSING)
        assert drain.in_flight == 1
        done, _ = await asyncio.wait({waiting}, timeout=0.02)
        assert not done
    await asyncio.wait_for(waiting, 1)


async def test_an_idle_process_is_not_drained_before_it_refuses_requests() -> None:
    drain = Drain(linger_seconds=60)
    waiting = asyncio.create_task(drain.wait_drained())
    drain.start()
    done, _ = await asyncio.wait({waiting}, timeout=0.02)
    assert not done
    waiting.cancel()


async def test_a_request_that_fails_is_not_under_way_any_more() -> None:
    drain = Drain()
    with pytest.raises(ValueError, match="x"), drain.track():
        raise ValueError("x")
    assert drain.in_flight == 0


async def test_a_second_start_changes_nothing() -> None:
    drain = Drain(linger_seconds=0.0)
    drain.start()
    await drain.wait_drained()
    drain.start()
    assert drain.phase is Phase.REFUSING
