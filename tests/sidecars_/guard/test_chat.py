from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from llmops_sidecars.contract import (
    Action,
    Configuration,
    Contract,
    Limits,
    OnError,
    Pattern,
    PatternsRule,
    PiiRule,
    Policy,
)
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.serving import Serving, build
from llmops_sidecars.openai.errors import too_many_requests
from tests.sidecars_.guard.kit import (
    MAIL,
    SECRET,
    STRICT,
    WRITER,
    FakeCache,
    asking,
    contract,
    guarded,
    question,
    said,
    with_broken_rules,
)
from tests.support.asgi import eventually


async def test_an_answer_is_put_together_from_its_events(tmp_path: Path) -> None:
    cache = FakeCache(said("Hello", " there", "."))
    answer = await guarded(tmp_path, cache).ask()
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["object"] == "chat.completion"
    assert answer.json["model"] == "chat"
    assert answer.json["created"] == 1_700_000_000
    assert answer.json["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello there.", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert answer.json["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


async def test_a_stream_says_the_same_in_events(tmp_path: Path) -> None:
    answer = await guarded(tmp_path, FakeCache(said("Hello", " there", "."))).ask(question(stream=True))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.text == "Hello there."
    first, *_, last, done = answer.events
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert done == "[DONE]"
    assert {event["id"] for event in answer.events[:-1]} == {f"chatcmpl-{answer.headers['x-request-id']}"}
    assert {event["model"] for event in answer.events[:-1]} == {"chat"}


@pytest.mark.parametrize("wanted", [True, False])
async def test_usage_is_streamed_only_when_it_is_asked_for(tmp_path: Path, *, wanted: bool) -> None:
    body = question(stream=True, stream_options={"include_usage": wanted})
    answer = await guarded(tmp_path, FakeCache(said("Hello"))).ask(body)
    usages = [event["usage"] for event in answer.events[:-1] if event.get("usage")]
    assert usages == ([{"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}] if wanted else [])


@pytest.mark.parametrize("stream", [True, False])
async def test_the_cache_gets_the_internal_form(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache(said("Hello"))
    body = question(f"I am {MAIL}", stream=stream, temperature=0.5, max_tokens=9, user="u-1", unknown_field=1)
    answer = await guarded(tmp_path, cache).ask(body, authorization="Bearer key", x_request_id="abc-1")
    assert cache.requests == [
        {
            "model": "chat",
            "messages": [{"role": "user", "content": "I am [EMAIL]"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.5,
            "max_tokens": 9,
        }
    ]
    received = cache.received[0]
    assert received["x-request-id"].startswith("abc-1.")
    assert received["x-llmops-revision"] == "r1"
    assert received["x-llmops-policy"] == "p1"
    assert received["cache-control"] == "no-store"
    assert "key" not in received["x-llmops-tenant"]
    assert "authorization" not in received
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["x-llmops-revision"] == "r1"
    assert answer.headers["x-llmops-cache"] == "miss"
    stages = [stage.partition(";")[0] for stage in answer.headers["server-timing"].split(", ")]
    assert stages == ["queue", "access", "body", "parse", "render", "guard", "cache", "upstream", "total"]


async def test_callers_have_their_own_tenant(tmp_path: Path) -> None:
    cache = FakeCache(said("Hello"))
    guard = guarded(tmp_path, cache)
    for key in ("Bearer a", "Bearer a", "Bearer b"):
        await guard.ask(authorization=key)
    await guard.ask()
    first, again, other, none = [headers["x-llmops-tenant"] for headers in cache.received]
    assert first == again != other
    assert none == "anonymous"


@pytest.mark.parametrize("asked", ["x" * 65, "a b", 'a"b', "", "é"])
async def test_an_insane_request_id_is_replaced(tmp_path: Path, asked: str) -> None:
    answer = await guarded(tmp_path, FakeCache(said("Hello"))).ask(x_request_id=asked)
    assert answer.headers["x-request-id"] != asked
    assert len(answer.headers["x-request-id"]) == 32


async def test_two_requests_with_one_id_are_two_generations(tmp_path: Path) -> None:
    cache = FakeCache(said("Hello"))
    guard = guarded(tmp_path, cache)
    await guard.ask(x_request_id="same")
    await guard.ask(x_request_id="same")
    assert len({headers["x-request-id"] for headers in cache.received}) == 2
    assert cache.commits == [headers["x-request-id"] for headers in cache.received]


@pytest.mark.parametrize(
    ("asked", "passed"),
    [
        ("no-store", "no-store"),
        ("No-Cache, max-age=0", "max-age=0, no-cache"),
        ("only-if-cached , MAX-AGE=60", "max-age=60, only-if-cached"),
        ("private, no-store, x=1", "no-store"),
    ],
)
async def test_the_caller_may_say_what_the_cache_may_do(tmp_path: Path, asked: str, passed: str) -> None:
    cache = FakeCache(said("Hello"))
    await guarded(tmp_path, cache).ask(cache_control=asked)
    assert cache.received[0]["cache-control"] == passed


@pytest.mark.parametrize("outcome", ["hit", "hit-shared"])
async def test_a_remembered_answer_tells_its_age_and_key(tmp_path: Path, outcome: str) -> None:
    headers = [(b"x-llmops-cache", outcome.encode()), (b"x-llmops-cache-key", b"abc"), (b"age", b"7")]
    cache = FakeCache(said("Hello"), headers=headers)
    answer = await guarded(tmp_path, cache).ask()
    told = [answer.headers[name] for name in ("x-llmops-cache", "x-llmops-cache-key", "age")]
    assert told == [outcome, "abc", "7"]
    assert cache.commits == []


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("outcome", "commits"), [("miss", 1), ("shared", 1), ("hit", 0), ("bypass", 0)], ids=str)
async def test_what_passed_is_committed_before_the_last_event(
    tmp_path: Path, outcome: str, commits: int, *, stream: bool
) -> None:
    cache = FakeCache(said("Hello"), headers=[(b"x-llmops-cache", outcome.encode())])
    answer = await guarded(tmp_path, cache).ask(question(stream=stream))
    assert answer.headers["x-llmops-cache"] == outcome
    assert cache.order == ["/v1/chat/completions", *["/commit"] * commits]


BLOCKED_PLACES = {
    "user": {"messages": [{"role": "user", "content": SECRET}]},
    "system": {"messages": [{"role": "system", "content": SECRET}]},
    "developer": {"messages": [{"role": "developer", "content": SECRET}]},
    "assistant": {"messages": [{"role": "assistant", "content": SECRET}]},
    "tool": {"messages": [{"role": "tool", "content": SECRET, "tool_call_id": "c"}]},
    "tool call id": {"messages": [{"role": "tool", "content": "x", "tool_call_id": SECRET}]},
    "part": {"messages": [{"role": "user", "content": [{"type": "text", "text": SECRET}]}]},
    "between parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": SECRET[:9]}, {"type": "text", "text": SECRET[9:]}]}
        ]
    },
    "refusal": {"messages": [{"role": "assistant", "content": None, "refusal": SECRET}]},
    "name": {"messages": [{"role": "user", "content": "x", "name": SECRET}]},
    "second message": {"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": SECRET}]},
    "call name": {
        "messages": [
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": SECRET, "arguments": ""}}],
            }
        ]
    },
    "call arguments": {
        "messages": [
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": f'{{"k":"{SECRET}"}}'}}
                ],
            }
        ]
    },
    "tool name": {"tools": [{"type": "function", "function": {"name": SECRET}}]},
    "tool description": {"tools": [{"type": "function", "function": {"name": "f", "description": SECRET}}]},
    "tool schema": {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": [{"description": SECRET}]}}}]
    },
    "tool schema key": {"tools": [{"type": "function", "function": {"name": "f", "parameters": {SECRET: {}}}}]},
    "tool schema type": {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": SECRET, "role": SECRET}}}]
    },
    "tool choice": {
        "tools": [{"type": "function", "function": {"name": SECRET}}],
        "tool_choice": {"type": "function", "function": {"name": SECRET}},
    },
    "stop": {"stop": [SECRET]},
    "response format": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "description": SECRET}}
    },
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fields", BLOCKED_PLACES.values(), ids=BLOCKED_PLACES)
async def test_a_secret_is_refused_wherever_it_stands(
    tmp_path: Path, fields: dict[str, object], *, stream: bool
) -> None:
    cache = FakeCache(said("Hello"))
    answer = await guarded(tmp_path, cache).ask(question() | fields | {"stream": stream})
    assert answer.status == 400
    assert answer.error["code"] == "content_blocked"
    assert "secrets" in answer.error["message"]
    assert SECRET not in answer.body.decode()
    assert cache.requests == []


async def test_the_words_of_the_api_are_no_text(tmp_path: Path) -> None:
    words = "(?i)user|system|function|text|role|content|type|auto|name|messages|tool"
    used = contract(policy=Policy(input=(PatternsRule((Pattern("words", words),)),)))
    tools = [{"type": "function", "function": {"name": "f"}}]
    cache = FakeCache(said("Hello"))
    answer = await guarded(tmp_path, cache, used).ask(question("Hello", tools=tools, tool_choice="auto"))
    assert answer.status == 200


async def test_personal_data_reaches_the_cache_masked_in_a_large_request_too(tmp_path: Path) -> None:
    cache = FakeCache(said("Hello"))
    await guarded(tmp_path, cache).ask(question(f"{MAIL} " * 10_000))
    assert cache.requests[0]["messages"][0]["content"] == "[EMAIL] " * 10_000


async def test_a_client_that_leaves_cancels_the_generation(tmp_path: Path) -> None:
    cache = FakeCache([WRITER.role() + WRITER.text("Hello there, you. " * 20), asyncio.Event()])
    guard = guarded(tmp_path, cache)
    async with asking(guard, question(stream=True)) as pieces:
        assert await anext(pieces)
        assert guard.app.drain.in_flight == 1
    async with asyncio.timeout(5):
        await cache.left.wait()
        await eventually(lambda: guard.app.drain.in_flight == 0)
    assert await guard.metric('llmops_requests_total{outcome="client_left",revision="r1"}') == 1
    assert cache.commits == []


async def test_when_all_slots_and_places_are_taken_the_next_is_told_to_come_back(tmp_path: Path) -> None:
    held = asyncio.Event()
    cache = FakeCache([WRITER.role(), held, *said("Hello")[1:]])
    guard = guarded(tmp_path, cache, contract(limits=Limits(concurrent_requests=1, queued_requests=1)))
    running = asyncio.create_task(guard.ask())
    await eventually(lambda: cache.requests)
    waiting = asyncio.create_task(guard.ask())
    await eventually(lambda: guard.app.drain.in_flight == 2)
    refused = await guard.ask()
    assert (refused.status, refused.error["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 3
    assert await guard.metric("llmops_requests_in_flight") == 1
    assert await guard.metric("llmops_requests_queued") == 1
    held.set()
    assert [answer.status for answer in await asyncio.gather(running, waiting)] == [200, 200]


async def test_the_engines_own_429_is_passed_on(tmp_path: Path) -> None:
    cache = FakeCache([too_many_requests(2).encode()], status=429)
    answer = await guarded(tmp_path, cache).ask()
    assert (answer.status, answer.error["code"]) == (429, "too_many_requests")


async def test_a_rule_that_cannot_run_refuses_and_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = FakeCache(said("Hello"))
    guard = guarded(tmp_path, cache, make=with_broken_rules)
    with caplog.at_level(logging.CRITICAL):
        answer = await guard.ask(question(MAIL))
    assert (answer.status, answer.error["code"]) == (503, "guard_unavailable")
    assert MAIL not in answer.body.decode()
    assert cache.requests == []
    assert await guard.metric('llmops_guard_errors_total{direction="input",revision="r1",rule="broken"}') == 1


async def test_a_refusal_for_a_rule_counts_each_rule_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def with_two_broken_rules(used: Contract) -> Serving:
        (served,), (whole,) = with_broken_rules(used).served, build(used).served
        (must,) = served.policy.input.checks
        loose = replace(must, rule="loose", on_error=OnError.OPEN)
        given = Rules((*whole.policy.input.checks, loose, must))
        return Serving(used, (replace(served, policy=replace(served.policy, input=given)),))

    guard = guarded(tmp_path, FakeCache(), make=with_two_broken_rules)
    with caplog.at_level(logging.CRITICAL):
        assert (await guard.ask(question(MAIL))).status == 503
    for rule in ("loose", "broken"):
        name = f'llmops_guard_errors_total{{direction="input",revision="r1",rule="{rule}"}}'
        assert await guard.metric(name) == 1
    assert (
        await guard.metric('llmops_guard_verdicts_total{action="Mask",direction="input",revision="r1",rule="pii"}') == 1
    )
    assert await guard.metric('llmops_requests_total{outcome="guard_unavailable",revision="r1"}') == 1


async def test_an_open_policy_lets_pass_what_a_rule_could_not_check(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    used = contract(policy=Policy(on_error=OnError.OPEN, input=(PiiRule(),)))
    guard = guarded(tmp_path, FakeCache(said("Hello")), used, make=with_broken_rules)
    with caplog.at_level(logging.CRITICAL):
        assert (await guard.ask()).status == 200
    assert await guard.metric('llmops_guard_errors_total{direction="input",revision="r1",rule="broken"}') == 1


async def test_the_record_says_what_happened_and_no_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = FakeCache(said("Call +49 30 1234567 now"))
    prompt = {"id": "support", "variables": {"question": f"Who is {MAIL}?"}}
    guard = guarded(tmp_path, cache)
    with caplog.at_level(logging.INFO, "llmops.access"):
        await guard.ask(
            {"model": "chat", "messages": [], "prompt": prompt}, authorization="Bearer key-1", x_request_id="id-1"
        )
    (record,) = [record for record in caplog.records if record.name == "llmops.access"]
    line = {name: getattr(record, name) for name in vars(record)}
    assert line["request_id"] == "id-1"
    assert (line["revision"], line["prompt"], line["status"], line["outcome"]) == ("r1", "support@t1", 200, "ok")
    assert (line["cache"], line["streamed"]) == ("miss", False)
    assert (line["input_tokens"], line["output_tokens"]) == (3, 1)
    assert line["verdicts"] == [
        {"rule": "pii", "kind": "Email", "direction": "input", "action": "Mask", "count": 1},
        {"rule": "pii", "kind": "Phone", "direction": "output", "action": "Mask", "count": 1},
    ]
    assert 0 <= line["first_token_ms"] <= line["total_ms"]
    written = json.dumps(line, default=str)
    for text in (MAIL, "1234567", "key-1", "Who is"):
        assert text not in written


async def test_refusals_have_a_record_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    guard = guarded(tmp_path, FakeCache())
    with caplog.at_level(logging.INFO, "llmops.access"):
        await guard.ask(question(SECRET))
        await guard.ask(b"{")
    seen = [(vars(record)["status"], vars(record)["outcome"]) for record in caplog.records]
    assert seen == [(400, "content_blocked"), (400, "invalid_json")]


async def test_metrics_tell_outcomes_tokens_and_verdicts_by_revision(tmp_path: Path) -> None:
    guard = guarded(tmp_path, FakeCache(said("Call +49 30 1234567 now")))
    await guard.ask(question(MAIL))
    await guard.ask(question(SECRET))
    assert await guard.metric('llmops_requests_total{outcome="ok",revision="r1"}') == 1
    assert await guard.metric('llmops_requests_total{outcome="content_blocked",revision="r1"}') == 1
    assert await guard.metric('llmops_request_seconds_count{revision="r1"}') == 2
    assert await guard.metric('llmops_first_token_seconds_count{revision="r1"}') == 1
    assert await guard.metric('llmops_tokens_total{direction="input",revision="r1"}') == 3
    assert await guard.metric('llmops_tokens_total{direction="output",revision="r1"}') == 1
    for rule, direction, action in (("pii", "input", "Mask"), ("pii", "output", "Mask"), ("secrets", "input", "Block")):
        labels = f'action="{action}",direction="{direction}",revision="r1",rule="{rule}"'
        assert await guard.metric(f"llmops_guard_verdicts_total{{{labels}}}") == 1


async def test_an_outcome_that_only_a_provider_knows_is_no_label(tmp_path: Path) -> None:
    body = b'{"error":{"message":"m","type":"t","param":null,"code":"made-up-123"}}'
    guard = guarded(tmp_path, FakeCache([body], status=400))
    assert (await guard.ask()).error["code"] == "made-up-123"
    assert await guard.metric('llmops_requests_total{outcome="other",revision="r1"}') == 1


async def test_a_changed_policy_is_obeyed_by_the_next_request_and_not_by_the_running_one(tmp_path: Path) -> None:
    held = asyncio.Event()
    guard = guarded(tmp_path, FakeCache([WRITER.role(), held, *said(f"Ask {MAIL} now")[1:]]))
    running = asyncio.create_task(guard.ask())
    await eventually(lambda: guard.app.drain.in_flight == 1)
    await asyncio.sleep(0)
    guard.use(contract(policy=Policy(version="p2", input=(PiiRule(action=Action.BLOCK),))))
    assert (await guard.ask(question(MAIL))).error["code"] == "content_blocked"
    held.set()
    assert (await running).json["choices"][0]["message"]["content"] == "Ask [EMAIL] now"


async def test_a_contract_that_re2_refuses_leaves_the_last_good_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard = guarded(tmp_path, FakeCache(said("Hello")))
    before = (await guard.admin("/config")).json["digest"]
    with caplog.at_level(logging.CRITICAL):
        guard.use(contract(policy=Policy(name="bad", input=(PatternsRule((Pattern("p", "("),)),))))
    state = (await guard.admin("/config")).json
    assert state["digest"] == before
    assert "policy 'bad', pattern 'p'" in state["error"]
    assert (await guard.ask(question(SECRET))).status == 400


async def test_callers_are_split_by_weight_and_stay_where_they_are(tmp_path: Path) -> None:
    two = (Configuration("stable", 80, policy=STRICT), Configuration("canary", 20, policy=STRICT))
    guard = guarded(tmp_path, FakeCache(said("x")), contract(*two))
    seen = {}
    for user in range(200):
        answers = [await guard.ask(question(user=f"user-{user}")) for _ in range(2)]
        assert len({answer.headers["x-llmops-revision"] for answer in answers}) == 1
        seen[user] = answers[0].headers["x-llmops-revision"]
    canary = {user for user, revision in seen.items() if revision == "canary"}
    assert 15 <= len(canary) <= 70
    guard.use(contract(Configuration("stable", 50, policy=STRICT), Configuration("canary", 50, policy=STRICT)))
    for user in canary:
        assert (await guard.ask(question(user=f"user-{user}"))).headers["x-llmops-revision"] == "canary"


async def test_a_client_that_leaves_the_queue_leaves_its_place(tmp_path: Path) -> None:
    held = asyncio.Event()
    cache = FakeCache([WRITER.role(), held, *said("Hello")[1:]])
    guard = guarded(tmp_path, cache, contract(limits=Limits(concurrent_requests=1, queued_requests=1)))
    running = asyncio.create_task(guard.ask())
    await eventually(lambda: cache.requests)
    waiting = asyncio.create_task(guard.ask())
    await eventually(lambda: guard.app.drain.in_flight == 2)
    waiting.cancel()
    await eventually(lambda: guard.app.drain.in_flight == 1)
    held.set()
    assert (await running).status == 200
    assert (await guard.ask()).status == 200
