from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmops_sidecars.cache.pending import WAIT_SECONDS
from llmops_sidecars.contract import TritonGrpcEngine, digest, encode
from llmops_sidecars.openai.errors import engine_failed, too_many_requests
from tests.sidecars_.cache.kit import CHAT, HEADERS, REQUEST, USAGE, Bench, chunk, contract, until

ANSWER = "The sky is blue because air scatters short waves of light more than long ones. " * 3


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A cache whose engine answers when the test says so."""
    return Bench(tmp_path)


@pytest.fixture
def quick(tmp_path: Path) -> Bench:
    """A cache whose engine answers everything at once."""
    return Bench(tmp_path, text=ANSWER)


async def test_a_hit_is_the_answer_again_as_a_stream_of_its_own(quick: Bench) -> None:
    first = await quick.remember()
    again = await quick.ask(x_request_id="r2")
    assert (first.outcome, again.outcome) == ("miss", "hit")
    assert again.text == first.text == ANSWER
    assert again.done
    assert again.choice.finish_reason == "stop"
    assert again.usage == USAGE
    assert len(again.texts) > 3
    assert again.chunks[0].choices[0].delta.role == "assistant"
    assert {each.id for each in again.chunks} == {"chatcmpl-r2"}
    assert {(each.created, each.model) for each in again.chunks} == {(1_700_000_000, "chat")}
    assert len(quick.engine.generations) == 1


async def test_a_miss_passes_the_answer_on_as_it_comes(bench: Bench) -> None:
    asked = asyncio.create_task(bench.ask())
    generation = await bench.engine.next()
    generation.say("The ", "sky ").chunk(chunk(refusal="no")).end("length")
    answer = await asked
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.choice.refusal == "no"
    assert (answer.text, answer.choice.finish_reason, answer.usage) == ("The sky ", "length", USAGE)
    assert answer.done


async def test_the_engine_gets_the_request_and_who_asks(bench: Bench) -> None:
    asked = asyncio.create_task(bench.ask(cache_control="no-cache"))
    generation = await bench.engine.next()
    generation.say("a").end()
    await asked
    assert generation.body == REQUEST
    assert HEADERS.items() <= generation.headers.items()
    assert "cache-control" not in generation.headers


@pytest.mark.parametrize(
    ("headers", "change"),
    [
        ({"x_llmops_tenant": "tenant-b"}, {}),
        ({"x_llmops_tenant": "anonymous"}, {}),
        ({"x_llmops_policy": "strict-2"}, {}),
        ({"x_llmops_prompt": "support@2"}, {}),
        ({}, {"max_tokens": 65}),
        ({}, {"messages": [{"role": "user", "content": "Why is the sky red?"}]}),
    ],
    ids=["tenant", "no-credential", "policy", "template", "limit", "question"],
)
async def test_another_caller_or_question_gets_no_foreign_answer(
    quick: Bench, headers: dict[str, str], change: dict[str, Any]
) -> None:
    await quick.remember()
    assert (await quick.ask({**REQUEST, **change}, **headers)).outcome == "miss"
    assert (await quick.ask()).outcome == "hit"


async def test_tenants_do_not_share_a_generation_either(bench: Bench) -> None:
    asked = [asyncio.create_task(bench.ask(x_llmops_tenant=tenant)) for tenant in ("tenant-a", "tenant-b")]
    for text in ("for a", "for b"):
        (await bench.engine.next()).say(text).end()
    answers = await asyncio.gather(*asked)
    assert [(answer.outcome, answer.text) for answer in answers] == [("miss", "for a"), ("miss", "for b")]


async def test_without_a_commit_nothing_is_remembered(quick: Bench) -> None:
    await quick.ask()
    assert (await quick.ask(x_request_id="r2")).outcome == "miss"
    assert not await quick.commit("r3")


async def test_a_late_commit_remembers_nothing(quick: Bench) -> None:
    await quick.ask()
    quick.clock.now += WAIT_SECONDS
    assert not await quick.commit()
    assert (await quick.ask()).outcome == "miss"


async def test_the_commit_finds_its_answer_before_the_client_hears_of_the_end(quick: Bench) -> None:
    async with quick.stream() as response:
        async for data in response.stream():
            if b'"finish_reason":"stop"' in data:
                assert await quick.commit()
                break
    assert (await quick.ask()).outcome == "hit"


async def test_equal_requests_share_one_generation(bench: Bench) -> None:
    first = asyncio.create_task(bench.ask())
    generation = await bench.engine.next()
    generation.say("The ", "sky ")
    others = [asyncio.create_task(bench.ask(x_request_id=f"s{number}")) for number in range(5)]
    await bench.until_asked("shared", 5)
    generation.say("is blue.").end()
    answers = [await first, *await asyncio.gather(*others)]
    assert [answer.outcome for answer in answers] == ["miss", *["shared"] * 5]
    assert {answer.text for answer in answers} == {"The sky is blue."}
    assert {answer.usage for answer in answers} == {USAGE}
    assert len(set().union(*(answer.ids for answer in answers))) == 6
    assert len(bench.engine.generations) == 1


async def test_any_who_shared_may_commit(bench: Bench) -> None:
    first = asyncio.create_task(bench.ask())
    generation = await bench.engine.next()
    other = asyncio.create_task(bench.ask(x_request_id="s1"))
    await bench.until_asked("shared")
    generation.say("a").end()
    await asyncio.gather(first, other)
    assert await bench.commit("s1")
    assert (await bench.ask()).outcome == "hit"


async def test_requests_that_arrive_in_one_moment_share_too(bench: Bench) -> None:
    asked = [asyncio.create_task(bench.ask(x_request_id=f"s{number}")) for number in range(3)]
    await bench.until_asked("shared", 2)
    (await bench.engine.next()).say("a").end()
    assert sorted(str(answer.outcome) for answer in await asyncio.gather(*asked)) == ["miss", "shared", "shared"]


async def test_others_get_the_answer_when_the_first_client_leaves(bench: Bench) -> None:
    first = asyncio.create_task(bench.ask())
    generation = await bench.engine.next()
    generation.say("The ")
    other = asyncio.create_task(bench.ask(x_request_id="s1"))
    await bench.until_asked("shared")
    first.cancel()
    await asyncio.wait({first})
    generation.say("sky.").end()
    answer = await other
    assert (answer.text, answer.done) == ("The sky.", True)
    assert not generation.left.is_set()


async def test_the_engine_stops_when_all_clients_have_left(bench: Bench) -> None:
    asked = [asyncio.create_task(bench.ask(x_request_id=f"s{number}")) for number in range(2)]
    await bench.until_asked("shared")
    generation = await bench.engine.next()
    generation.say("The ")
    for client in asked:
        client.cancel()
    await asyncio.wait(asked)
    async with asyncio.timeout(5):
        await generation.left.wait()
    following = asyncio.create_task(bench.ask())
    (await bench.engine.next()).say("again").end()
    assert (await following).outcome == "miss"


async def test_an_error_before_the_first_word_is_an_error_response_for_all(bench: Bench) -> None:
    asked = [asyncio.create_task(bench.ask(x_request_id=f"s{number}")) for number in range(2)]
    await bench.until_asked("shared")
    (await bench.engine.next()).fail(too_many_requests(7))
    for answer in await asyncio.gather(*asked):
        assert (answer.status, answer.error) == (429, "too_many_requests")
        assert answer.headers["retry-after"] == "7"
    assert not await bench.commit("s0")


async def test_an_error_after_the_first_word_ends_all_streams_and_is_not_remembered(bench: Bench) -> None:
    asked = [asyncio.create_task(bench.ask(x_request_id=f"s{number}")) for number in range(2)]
    await bench.until_asked("shared")
    (await bench.engine.next()).say("The ").fail(engine_failed())
    for answer in await asyncio.gather(*asked):
        assert (answer.status, answer.error, answer.done) == (200, "engine_failed", False)
    assert not await bench.commit("s0")
    assert not await bench.commit("s1")


async def test_a_stream_without_its_end_is_an_error_and_not_remembered(bench: Bench) -> None:
    asked = asyncio.create_task(bench.ask())
    (await bench.engine.next()).say("The ").chunk(chunk(reason="stop")).cut()
    assert (await asked).error == "engine_failed"
    assert not await bench.commit()


async def test_an_engine_that_breaks_down_is_unavailable(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    asked = asyncio.create_task(bench.ask())
    (await bench.engine.next()).fail(RuntimeError("out of memory"))
    answer = await asked
    assert (answer.status, answer.error) == (503, "engine_unavailable")


@pytest.mark.parametrize(
    ("reason", "remembered"), [("stop", True), ("length", True), ("content_filter", False), ("tool_calls", False)]
)
async def test_only_answers_that_ended_by_themselves_or_by_their_limit_are_remembered(
    bench: Bench,
    reason: str,
    remembered: bool,  # noqa: FBT001 - a column
) -> None:
    asked = asyncio.create_task(bench.ask())
    (await bench.engine.next()).say("The sky").end(reason)
    assert (await asked).choice.finish_reason == reason
    assert await bench.commit() is remembered
    if remembered:
        assert (await bench.ask()).choice.finish_reason == reason


@pytest.mark.parametrize("extra", [chunk(refusal="I cannot say that."), None], ids=["refusal", "nothing"])
async def test_an_answer_that_is_not_text_is_passed_on_and_not_remembered(bench: Bench, extra: Any) -> None:
    asked = asyncio.create_task(bench.ask())
    generation = await bench.engine.next()
    if extra is not None:
        generation.chunk(extra)
    generation.end()
    answer = await asked
    assert answer.done
    assert answer.chunks[0].choices[0].delta.role == "assistant"
    assert not await bench.commit()


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({}, {"cache_control": "no-store"}),
        ({}, {"cache_control": "max-age=0, No-Store"}),
        ({}, {"x_llmops_tenant": ""}),
        ({}, {"x_llmops_revision": "unknown"}),
        ({"temperature": 1.5}, {}),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {}),
    ],
    ids=["no-store", "no-store-among-others", "no-tenant", "unknown-revision", "hot", "tools"],
)
async def test_what_may_not_be_remembered_passes_by(
    quick: Bench, change: dict[str, Any], headers: dict[str, str]
) -> None:
    answer = await quick.ask({**REQUEST, **change}, **headers)
    assert (answer.outcome, answer.text) == ("bypass", ANSWER)
    assert not await quick.commit()
    assert (await quick.ask({**REQUEST, **change}, **headers)).outcome == "bypass"


async def test_requests_that_pass_by_share_nothing(bench: Bench) -> None:
    asked = [asyncio.create_task(bench.ask(cache_control="no-store")) for _ in range(2)]
    for text in ("one", "two"):
        (await bench.engine.next()).say(text).end()
    assert [answer.text for answer in await asyncio.gather(*asked)] == ["one", "two"]


async def test_no_cache_asks_anew_and_replaces_what_was_remembered(bench: Bench) -> None:
    for text, outcome, headers in (("old", "miss", {}), ("new", "bypass", {"cache_control": "no-cache"})):
        asked = asyncio.create_task(bench.remember(None, **headers))
        (await bench.engine.next()).say(text).end()
        assert (await asked).outcome == outcome
    assert (await bench.ask()).text == "new"


async def test_a_damaged_entry_is_a_miss(quick: Bench) -> None:
    await quick.remember()
    items = quick.app._cache._store._items
    key, item = items.popitem()
    items[key] = msgspec.structs.replace(item, value=item.value.replace(b"blue", b"pink"))
    answer = await quick.ask()
    assert (answer.outcome, answer.text) == ("miss", ANSWER)
    assert await quick.metric("llmops_cache_evictions_total", reason="damaged") == 1


async def test_an_entry_of_another_key_is_a_miss(quick: Bench) -> None:
    await quick.remember()
    await quick.remember(x_llmops_tenant="tenant-b", x_request_id="r2")
    items = quick.app._cache._store._items
    first, second = items
    items[first] = items[second]
    assert (await quick.ask()).outcome == "miss"
    assert (await quick.ask(x_llmops_tenant="tenant-b")).outcome == "hit"


async def test_answers_expire(quick: Bench) -> None:
    await quick.remember()
    quick.clock.now += 61
    assert (await quick.ask()).outcome == "miss"


async def test_settings_change_without_a_restart(quick: Bench) -> None:
    await quick.remember()
    quick.write(encode(contract(ttl_seconds=0)))
    assert (await quick.ask()).outcome == "bypass"
    assert await quick.metric("llmops_cache_bytes") == 0
    quick.write(encode(contract(ttl_seconds=60)))
    await quick.remember()
    quick.clock.now += 10
    assert (await quick.ask()).outcome == "hit"
    quick.write(encode(contract(ttl_seconds=5)))
    assert (await quick.ask()).outcome == "miss"


async def test_another_revision_or_engine_makes_answers_unreachable(quick: Bench) -> None:
    await quick.remember()
    quick.write(encode(contract(revision="two")))
    assert (await quick.ask(x_llmops_revision="two")).outcome == "miss"
    other = msgspec.structs.replace(contract(), engine=TritonGrpcEngine("localhost:8001", model="another"))
    quick.write(encode(other))
    assert (await quick.ask()).outcome == "miss"


async def test_memory_is_bounded(tmp_path: Path) -> None:
    bench = Bench(tmp_path, text=ANSWER, settings=contract(max_bytes=3000))
    for number in range(10):
        await bench.remember({**REQUEST, "seed": number})
        assert await bench.metric("llmops_cache_bytes") <= 3000
    assert (await bench.ask({**REQUEST, "seed": 9})).outcome == "hit"
    assert (await bench.ask({**REQUEST, "seed": 0})).outcome == "miss"
    assert await bench.metric("llmops_cache_evictions_total", reason="space") > 0


async def test_metrics_are_the_caches_and_the_engines(quick: Bench) -> None:
    await quick.remember()
    await quick.ask()
    await quick.ask(cache_control="no-store")
    lookups = "llmops_cache_lookups_total"
    counts = [await quick.metric(lookups, revision="one", outcome=each) for each in ("miss", "hit", "shared", "bypass")]
    assert counts == [1, 1, 0, 1]
    assert await quick.metric("llmops_cache_admissions_total") == 1
    assert await quick.metric("llmops_cache_entries") == 1
    assert await quick.metric("llmops_cache_bytes") > len(ANSWER)
    assert await quick.metric("engine_metric") == 1


@pytest.mark.parametrize("reply", [(404, b"nothing here\n"), (500, b"")], ids=["no-metrics", "broken"])
async def test_metrics_do_not_depend_on_the_engines(quick: Bench, reply: tuple[int, bytes]) -> None:
    quick.engine.replies["/metrics"] = reply
    answer = await quick.call("GET", "/metrics")
    assert answer.status == 200
    assert b"llmops_cache_entries" in answer.body
    assert b"nothing here" not in answer.body


async def test_config_tells_the_contract_in_use_and_why_not_the_newest(quick: Bench) -> None:
    good = encode(contract())
    assert msgspec.json.decode((await quick.call("GET", "/config")).body) == {"digest": digest(good), "error": None}
    quick.write(b"{}")
    state = msgspec.json.decode((await quick.call("GET", "/config")).body)
    assert state["digest"] == digest(good)
    assert "model" in state["error"]


async def test_without_a_contract_nothing_is_answered(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.contract_file.current = None
    answer = await bench.ask()
    assert (answer.status, answer.error) == (503, "not_ready")
    assert msgspec.json.decode((await bench.call("GET", "/config")).body)["digest"] is None


@pytest.mark.parametrize(("method", "path"), [("GET", "/probe"), ("POST", "/drain")])
@pytest.mark.parametrize("status", [200, 503])
async def test_probe_and_drain_are_the_engines(bench: Bench, method: str, path: str, status: int) -> None:
    bench.engine.replies[path] = (status, b'{"ok": 1}')
    answer = await bench.call(method, path)
    assert (answer.status, answer.body) == (status, b'{"ok": 1}')
    assert answer.headers["retry-after"] == "2"
    assert bench.engine.asked == [f"{method} {path}"]


async def test_a_probe_of_a_broken_engine_fails(bench: Bench) -> None:
    answer = await bench.call("GET", "/probe")
    assert (answer.status, answer.error) == (503, "engine_unavailable")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", CHAT, 405, "method_not_allowed"),
        ("GET", "/commit", 405, "method_not_allowed"),
        ("POST", "/v1/models", 404, "not_found"),
        ("POST", "/commit", 400, "missing_field"),
    ],
)
async def test_other_requests_are_refused(bench: Bench, method: str, path: str, status: int, code: str) -> None:
    answer = await bench.call(method, path)
    assert (answer.status, answer.error) == (status, code)


async def test_a_body_that_is_no_json_is_the_engines_to_refuse(bench: Bench) -> None:
    bench.engine.text = "refused"
    asked = asyncio.create_task(bench.call("POST", CHAT, HEADERS, b"[1]"))
    await bench.engine.next()
    assert (await asked).outcome == "bypass"


async def test_a_client_that_leaves_between_two_words_is_let_go(bench: Bench) -> None:
    async def read_a_word() -> None:
        async with bench.stream() as response:
            async for _ in response.stream():
                return

    reader = asyncio.create_task(read_a_word())
    generation = await bench.engine.next()
    generation.say("The ")
    await reader
    await until(generation.left.is_set)
    assert not await bench.commit()
