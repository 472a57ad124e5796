from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable

import pytest

from llmops_sidecars.cache.shared.names import entry_name
from llmops_sidecars.cache.shared.pool import CONNECTIONS
from llmops_sidecars.cache.shared.store import MOST_WRITES
from tests.sidecars_.cache.shared.kit import KEY, LOOKUP_BOUND, PREFIX, SLACK, Pod, entry, pod, settings
from tests.support.asgi import eventually
from tests.support.valkey import Server, wired


async def failing(one: Pod, times: int = CONNECTIONS + 5) -> None:
    """So many look-ups, each a miss, and none late."""
    for _ in range(times):
        assert await one.get() is None


async def recovered(one: Pod) -> None:
    async def found() -> bool:
        return await one.shared.get(KEY, 60) is not None

    await eventually(found)


async def test_a_slow_store_is_a_miss_and_then_costs_nothing(server: Server) -> None:
    async with wired(server.port) as (wire, port), pod(settings(port)) as one:
        await one.put(entry())
        wire.delay = 0.2
        await failing(one)
        assert one.count("get", "late") >= 1
        started = time.perf_counter()
        for _ in range(100):
            assert await one.shared.get(KEY, 60) is None
        assert time.perf_counter() - started < SLACK
        wire.delay = 0
        await recovered(one)


async def test_a_store_that_hangs_in_the_middle_of_a_reply_is_a_miss(server: Server) -> None:
    async with wired(server.port) as (wire, port), pod(settings(port)) as one:
        await one.put(entry())
        wire.reply = lambda data: data[:20]
        await failing(one)
        wire.reply = bytes
        await recovered(one)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
        lambda data: data + b"$5\r\nthere\r\n",
        lambda data: data[:-2] + b"xx",
        lambda _: b"$9999999999\r\n",
        lambda _: b":1\r\n",
        lambda _: b"$-1\r\n",
        lambda _: b"+OK\r\n",
        lambda _: b"-LOADING Redis is loading the dataset in memory\r\n",
        lambda data: data.replace(b"blue", b"pink"),
    ],
    ids=["http", "more", "end", "huge", "number", "nothing", "word", "loading", "changed"],
)
async def test_a_store_that_lies_is_a_miss(server: Server, change: Callable[[bytes], bytes]) -> None:
    async with wired(server.port) as (wire, port), pod(settings(port)) as one:
        await one.put(entry())
        wire.reply = lambda data: change(data) if b"blue" in data else data
        assert await one.get() is None
        wire.reply = bytes
        await one.put(entry())
        await recovered(one)


async def test_a_store_that_cuts_is_a_miss(server: Server) -> None:
    async with wired(server.port) as (wire, port), pod(settings(port)) as one:
        await one.put(entry())
        for after in (0, 1, 10, 60):
            await recovered(one)
            wire.after = after
            wire.cut()
            await failing(one)
            wire.after = None
        await recovered(one)


async def test_a_frozen_store_is_a_miss_and_comes_back(own: Server) -> None:
    async with pod(settings(own.port)) as one:
        await one.put(entry())
        own.freeze()
        await failing(one)
        own.thaw()
        await recovered(one)


async def test_writes_that_hang_do_not_hide_that_the_store_does(own: Server) -> None:
    async with pod(settings(own.port)) as one:
        await eventually(lambda: one.shared.pool.size == CONNECTIONS)
        own.freeze()
        for number in range(10):
            one.shared.put(entry(f"t.r.p.m.d{number}"), 60)
        await failing(one, 20)
        assert one.count("get", "late") + one.count("get", "busy") <= CONNECTIONS + 1
        assert one.count("get", "down") >= 20 - CONNECTIONS - 1
        own.thaw()


async def test_a_store_that_restarts_is_a_miss_and_comes_back(own: Server) -> None:
    async with pod(settings(own.port)) as one:
        await one.put(entry())
        own.stop(signal.SIGKILL)
        await failing(one)
        own.start()
        await eventually(lambda: one.shared.pool.size)
        assert await one.get() is None
        await one.put(entry())
        await recovered(one)


async def test_connections_that_the_store_ends_are_replaced_and_forgotten(own: Server) -> None:
    async with pod(settings(own.port)) as one:
        await one.put(entry())
        for _ in range(5):
            await eventually(lambda: one.shared.pool.size == CONNECTIONS)
            own.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await eventually(lambda: one.shared.pool.size < CONNECTIONS)
        await recovered(one)
        await eventually(lambda: one.shared.pool.size == CONNECTIONS)
        assert one.shared.pool._free.qsize() <= CONNECTIONS


async def test_a_full_store_loses_writes_and_nothing_else(own: Server) -> None:
    async with pod(settings(own.port)) as one:
        await one.put(entry())
        own.ask("CONFIG", "SET", "maxmemory", "1")
        await one.put(entry("t.r.p.m.d2"))
        assert one.count("set", "oom") == 1
        assert await one.get() is not None
        own.ask("CONFIG", "SET", "maxmemory", "0")
        await one.put(entry("t.r.p.m.d2"))
        assert await one.get("t.r.p.m.d2") is not None


async def test_a_store_with_too_many_clients_is_a_miss_and_comes_back(own: Server) -> None:
    own.ask("CONFIG", "SET", "maxclients", "1")
    held = await asyncio.open_connection("127.0.0.1", own.port)
    async with pod(settings(own.port), connects=False) as one:
        await eventually(lambda: one.shared.pool.problem)
        assert await one.get() is None
        held[1].close()
        await eventually(lambda: one.shared.pool.size)


async def test_as_few_connections_as_promised(server: Server) -> None:
    async with pod(settings(server.port)) as one:
        await eventually(lambda: one.shared.pool.size == CONNECTIONS)
        await one.put(entry())
        found = await asyncio.gather(*(one.shared.get(KEY, 60) for _ in range(1000)))
        assert any(found)
        assert found.count(None) == one.count("get", "busy") + one.count("get", "late")
        clients = server.ask("CLIENT", "LIST")
        assert isinstance(clients, bytes)
        assert clients.count(b"\n") == CONNECTIONS + 1


async def test_who_leaves_leaves_no_reply_to_the_next(server: Server) -> None:
    """The mix-up of replies: requests that are cancelled at any moment, and others that must get their own."""
    chance = random.Random(7)
    keys = [f"t.r.p.m.d{number}" for number in range(50)]
    async with wired(server.port) as (wire, port), pod(settings(port)) as one:
        for key in keys:
            await one.put(entry(key, f"answer to {key}"))
        wire.delay = 0.001
        found = 0
        for _ in range(40):
            asked = [asyncio.create_task(one.shared.get(key, 60)) for key in chance.sample(keys, 6)]
            await asyncio.sleep(chance.uniform(0, 0.004))
            for task in chance.sample(asked, 3):
                task.cancel()
            for got in await asyncio.gather(*asked, return_exceptions=True):
                if isinstance(got, BaseException):
                    assert isinstance(got, asyncio.CancelledError)
                elif got is not None:
                    assert got.text == f"answer to {got.key}"
                    found += 1
            assert one.count("get", "damaged") == 0
        assert found > 20


async def test_a_cancelled_command_does_not_cost_the_connection(server: Server) -> None:
    async with wired(server.port) as (wire, port), pod(settings(port)) as one:
        await one.put(entry())
        await eventually(lambda: one.shared.pool.size == CONNECTIONS)
        for _ in range(20):
            asked = asyncio.create_task(one.shared.get(KEY, 60))
            await asyncio.sleep(0)
            asked.cancel()
        await recovered(one)
        assert wire.taken == CONNECTIONS


async def test_writes_hold_nobody_up_and_are_dropped_when_too_many_wait(server: Server) -> None:
    async with wired(server.port) as (wire, port), pod(settings(port)) as one:
        wire.hold()
        started = time.perf_counter()
        for number in range(MOST_WRITES + 10):
            one.shared.put(entry(f"t.r.p.m.d{number}"), 60)
        assert time.perf_counter() - started < 1
        assert one.count("set", "dropped") == 10
        wire.release()
        await eventually(lambda: one.count("set", "done") > MOST_WRITES / 2)


async def test_large_writes_are_bounded_in_bytes(server: Server) -> None:
    async with wired(server.port) as (wire, port), pod(settings(port)) as one:
        wire.hold()
        for number in range(20):
            one.shared.put(entry(f"t.r.p.m.d{number}", "x" * 1_000_000), 60)
        assert one.count("set", "dropped") == 12
        wire.release()


async def test_a_store_that_is_not_there_costs_no_time(server: Server) -> None:
    async with wired(server.port) as (wire, port), pod(settings(port)) as one:
        await one.put(entry())
        wire.after = 0
        wire.cut()
        await eventually(lambda: one.shared.pool.size == 0)
        started = time.perf_counter()
        for _ in range(1000):
            await one.shared.get(KEY, 60)
        assert time.perf_counter() - started < 0.2
        assert one.count("set", "down") == 0
        await one.put(entry())
        assert one.count("set", "down") == 1


async def test_a_long_pause_of_this_process_is_no_failure_of_the_store(server: Server) -> None:
    async with pod(settings(server.port)) as one:
        await one.put(entry())
        asked = asyncio.create_task(one.shared.get(KEY, 60))
        await asyncio.sleep(0)
        time.sleep(5 * LOOKUP_BOUND)  # noqa: ASYNC251 - the pause itself: a collection, a large request
        assert await asked is not None


async def test_an_entry_of_one_pod_is_nothing_to_a_store_with_another_prefix(server: Server) -> None:
    async with pod(settings(server.port)) as one:
        await one.put(entry())
        assert server.keys() == [entry_name(PREFIX, KEY, b"")]
