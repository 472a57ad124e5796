from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmops_sidecars.contract import (
    Contract,
    JsonSchemaRule,
    Limits,
    Policy,
    StreamWindow,
)
from llmops_sidecars.guard.answer import joined
from llmops_sidecars.guard.serving import Serving, build
from llmops_sidecars.openai.answers import (
    Chunk,
    ChunkChoice,
    Delta,
    FunctionDelta,
    Logprobs,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from llmops_sidecars.openai.errors import engine_failed, engine_unavailable
from llmops_sidecars.openai.events import error_event
from tests.sidecars_.guard.kit import (
    MAIL,
    WRITER,
    FakeCache,
    asking,
    contract,
    delta,
    guarded,
    question,
    said,
    with_broken_rules,
)
from tests.support.asgi import events_of


@pytest.mark.parametrize("stream", [True, False])
async def test_a_phone_number_in_an_answer_never_arrives(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache(said("Call", " me", " at", " +49", " 30", " 123", "4567", " tomorrow", "."))
    answer = await guarded(tmp_path, cache).ask(question(stream=stream))
    text = answer.text if stream else answer.json["choices"][0]["message"]["content"]
    assert text == "Call me at [PHONE] tomorrow."
    assert len(cache.commits) == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_a_blocked_answer_ends_before_the_finding(tmp_path: Path, *, stream: bool) -> None:
    never = asyncio.Event()
    script = [WRITER.role(), WRITER.text("It is Project"), WRITER.text("  X, and "), WRITER.text("more " * 40)]
    cache = FakeCache([*script, *([never] if stream else said("the end")[1:])])
    answer = await guarded(tmp_path, cache).ask(question(stream=stream))
    assert answer.status == 200
    if stream:
        assert answer.text == "It is "
        assert answer.events[-2]["choices"][0]["finish_reason"] == "content_filter"
        assert answer.events[-1] == "[DONE]"
        async with asyncio.timeout(5):
            await cache.left.wait()
    else:
        choice = answer.json["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("It is ", "content_filter")
    assert cache.commits == []


@pytest.mark.parametrize(("reason", "told"), [("length", "length"), ("eos", "stop"), (MAIL, "stop")])
async def test_reasons_are_those_of_the_specification(tmp_path: Path, reason: str, told: str) -> None:
    answer = await guarded(tmp_path, FakeCache(said("Hello", reason=reason))).ask()
    assert answer.json["choices"][0]["finish_reason"] == told


async def test_an_end_that_comes_with_the_finding_changes_nothing(tmp_path: Path) -> None:
    cache = FakeCache([b"".join(said("It is Project X", " and " + "more " * 60))])
    answer = await guarded(tmp_path, cache).ask(question(stream=True))
    assert answer.text == "It is "
    assert answer.events[-2]["choices"][0]["finish_reason"] == "content_filter"


TOOLS = [{"type": "function", "function": {"name": name}} for name in ("send", "f")]


def call_delta(index: int, name: str | None = None, arguments: str | None = None) -> bytes:
    call_id, kind = ("call-1", "function") if name else (None, None)
    return delta(Delta(tool_calls=(ToolCallDelta(index, call_id, kind, FunctionDelta(name, arguments)),)))


@pytest.mark.parametrize("stream", [True, False])
async def test_the_arguments_of_tool_calls_are_checked(tmp_path: Path, *, stream: bool) -> None:
    script = [call_delta(0, "send", ""), call_delta(0, None, '{"to": "jane.d'), call_delta(0, None, 'oe@example.com"}')]
    cache = FakeCache([WRITER.role(), *script, *said(reason="tool_calls")[1:]])
    answer = await guarded(tmp_path, cache).ask(question(stream=stream, tools=TOOLS))
    if stream:
        deltas = [event["choices"][0]["delta"] for event in answer.events[:-1] if event["choices"]]
        calls = [call for one in deltas for call in one.get("tool_calls", ())]
        assert {call["index"] for call in calls} == {0}
        assert calls[0]["id"].startswith("call_")
        assert calls[0]["type"] == "function"
        functions = [call.get("function", {}) for call in calls]
        assert "".join(one.get("name", "") for one in functions) == "send"
        assert "".join(one.get("arguments", "") for one in functions) == '{"to": "[EMAIL]"}'
    else:
        message = answer.json["choices"][0]["message"]
        assert message["content"] is None
        (call,) = message["tool_calls"]
        assert call["id"].startswith("call_")
        assert call["type"] == "function"
        assert call["function"] == {"name": "send", "arguments": '{"to": "[EMAIL]"}'}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_is_checked(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache([WRITER.role(), delta(Delta(refusal=f"Not to {MAIL}.")), *said()[1:]])
    answer = await guarded(tmp_path, cache).ask(question(stream=stream))
    if stream:
        deltas = [event["choices"][0]["delta"] for event in answer.events[:-1] if event["choices"]]
        assert "".join(one.get("refusal") or "" for one in deltas) == "Not to [EMAIL]."
    else:
        assert answer.json["choices"][0]["message"]["refusal"] == "Not to [EMAIL]."


UNKNOWN = {
    "no json": b"data: hello\n\n",
    "another object": b'data: {"object":"thing","choices":[]}\n\n',
    "second choice": b'data: {"choices":[{"index":1,"delta":{"content":"x"}}]}\n\n',
    "content of another type": b'data: {"choices":[{"index":0,"delta":{"content":["x"]}}]}\n\n',
    "tool call without index": b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"id":"x"}]}}]}\n\n',
    "not utf-8": b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n',
    "cut": b'data: {"choices":[{"index":0,"de',
    "no end": WRITER.text("x"),
    "no reason": b"data: [DONE]\n\n",
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("event", UNKNOWN.values(), ids=UNKNOWN)
async def test_an_event_of_unknown_shape_fails_the_answer(tmp_path: Path, event: bytes, *, stream: bool) -> None:
    cache = FakeCache([WRITER.role() + WRITER.text("Some text. ") * 10, event])
    answer = await guarded(tmp_path, cache).ask(question(stream=stream))
    if stream:
        assert answer.status == 200
        assert answer.events[-1]["error"]["code"] == "engine_failed"
        assert "[DONE]" not in answer.events
    else:
        assert (answer.status, answer.error["code"]) == (502, "engine_failed")
    assert cache.commits == []


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_below_before_the_first_event_is_a_status(tmp_path: Path, *, stream: bool) -> None:
    error = engine_unavailable()
    headers = [(b"retry-after", b"2"), (b"x-llmops-cache", b"bypass")]
    cache = FakeCache([error.encode()], status=503, headers=headers)
    answer = await guarded(tmp_path, cache).ask(question(stream=stream))
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "engine_unavailable", "2")
    assert answer.headers["x-llmops-revision"] == "r1"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_below_after_the_first_event_ends_the_answer(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache([WRITER.role(), WRITER.text("Hel"), error_event(engine_failed("It broke."))])
    answer = await guarded(tmp_path, cache).ask(question(stream=stream))
    error = answer.events[-1]["error"] if stream else answer.error
    assert (error["code"], error["message"]) == ("engine_failed", "It broke.")
    assert cache.commits == []


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_connection_below_ends_the_answer_with_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, stream: bool
) -> None:
    cache = FakeCache([WRITER.role(), WRITER.text("Hel"), OSError("gone")])
    with caplog.at_level(logging.CRITICAL):
        answer = await guarded(tmp_path, cache).ask(question(stream=stream))
    error = answer.events[-1]["error"] if stream else answer.error
    assert error["code"] == "engine_failed"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("script", "awaited"),
    [([], "first token"), ([WRITER.role() + WRITER.text("x")], "next token")],
    ids=["first", "next"],
)
async def test_a_hanging_engine_is_given_up_and_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: list[bytes], awaited: str, *, stream: bool
) -> None:
    monkeypatch.setattr("llmops_sidecars.guard.reply.GRACE_SECONDS", 0.0)
    monkeypatch.setattr("llmops_sidecars.guard.upstream.GRACE_SECONDS", 0.0)
    cache = FakeCache([*script, asyncio.Event()])
    limits = Limits(first_token_seconds=0.05, inter_token_seconds=0.05)
    answer = await guarded(tmp_path, cache, contract(limits=limits)).ask(question(stream=stream))
    begun = stream and script
    error = answer.events[-1]["error"] if begun else answer.error
    assert answer.status == (200 if begun else 503)
    assert error["code"] == "engine_timeout"
    assert awaited in error["message"]
    async with asyncio.timeout(5):
        await cache.left.wait()


async def test_an_answer_that_takes_too_long_in_all_ends_with_an_error(tmp_path: Path) -> None:
    cache = FakeCache([WRITER.role(), WRITER.text("x"), asyncio.Event()])
    answer = await guarded(tmp_path, cache, contract(limits=Limits(request_seconds=0.1))).ask(question(stream=True))
    assert answer.events[-1]["error"]["code"] == "engine_timeout"


async def test_held_text_leaves_when_its_time_comes_and_not_with_the_next_word(tmp_path: Path) -> None:
    more = asyncio.Event()
    cache = FakeCache([WRITER.role(), WRITER.text("Hello there, "), more, *said("you")[1:]])
    async with asking(guarded(tmp_path, cache), question(stream=True)) as pieces:
        received = b""
        async with asyncio.timeout(5):
            while b"Hello there, " not in received:
                received += await anext(pieces)
        more.set()
        received += b"".join([piece async for piece in pieces])
    assert events_of(received)[-1] == "[DONE]"


async def test_many_events_of_one_read_leave_in_one_write(tmp_path: Path) -> None:
    cache = FakeCache([b"".join(said(*["word "] * 50))])
    async with asking(guarded(tmp_path, cache), question(stream=True)) as pieces:
        assert len([piece async for piece in pieces]) <= 3


@pytest.mark.parametrize("stream", [True, False])
async def test_a_rule_that_cannot_run_on_an_answer_ends_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, stream: bool
) -> None:
    def only_output(used: Contract) -> Serving:
        (served,), (whole,) = with_broken_rules(used).served, build(used).served
        return Serving(used, (replace(served, policy=replace(served.policy, input=whole.policy.input)),))

    guard = guarded(tmp_path, FakeCache(said("Hello there, you. " * 20)), make=only_output)
    with caplog.at_level(logging.CRITICAL):
        answer = await guard.ask(question(stream=stream))
    error = answer.events[-1]["error"] if stream else answer.error
    assert error["code"] == "guard_unavailable"
    assert "Hello" not in answer.body.decode()
    assert await guard.metric('llmops_guard_errors_total{direction="output",revision="r1",rule="broken"}') == 1


async def test_text_is_not_held_without_rules(tmp_path: Path) -> None:
    held = asyncio.Event()
    cache = FakeCache([WRITER.role(), WRITER.text("jane@"), held])
    used = contract(policy=Policy(stream=StreamWindow(256, 10.0)))
    async with asking(guarded(tmp_path, cache, used), question(stream=True)) as pieces:
        received = b""
        async with asyncio.timeout(5):
            while b"jane@" not in received:
                received += await anext(pieces)


async def test_a_flood_of_tool_calls_fails_the_answer(tmp_path: Path) -> None:
    cache = FakeCache([WRITER.role(), *(call_delta(index, "f", "{}") for index in range(300)), *said()[1:]])
    answer = await guarded(tmp_path, cache).ask(question(tools=TOOLS))
    assert (answer.status, answer.error["code"]) == (502, "engine_failed")
    assert "too many tool calls" in answer.error["message"]


async def test_an_endless_answer_is_given_up_when_it_cannot_be_streamed(tmp_path: Path) -> None:
    cache = FakeCache([WRITER.role(), *[WRITER.text("word " * 50_000)] * 20, asyncio.Event()])
    answer = await guarded(tmp_path, cache).ask()
    assert (answer.status, answer.error["code"]) == (502, "engine_failed")
    assert "stream it" in answer.error["message"]


async def test_an_endless_answer_is_given_up_when_a_rule_wants_to_see_it_whole(tmp_path: Path) -> None:
    used = contract(policy=Policy(output=(JsonSchemaRule({}),)))
    cache = FakeCache([WRITER.role(), *[WRITER.text("word " * 50_000)] * 20, asyncio.Event()])
    answer = await guarded(tmp_path, cache, used).ask(question(stream=True))
    assert answer.events[-1]["error"]["code"] == "engine_failed"
    assert "too long to be checked" in answer.events[-1]["error"]["message"]


def said_chunk(text: str, index: int = 0, **fields: Any) -> Chunk:
    return Chunk(created=7, choices=(ChunkChoice(index, Delta(content=text), **fields),))


FINISH = Chunk(created=7, choices=(ChunkChoice(0, Delta(), "stop"),))
CALLING = Chunk(created=7, choices=(ChunkChoice(0, Delta(content="x", tool_calls=(ToolCallDelta(0),))),))
USAGE = Chunk(created=7, usage=Usage(1, 2, 3))
LIKELY = said_chunk("x", logprobs=Logprobs(content=(TokenLogprob("x", -0.1),)))


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([], []),
        ([said_chunk("a")], [said_chunk("a")]),
        ([said_chunk("a"), said_chunk("b"), said_chunk("c")], [said_chunk("abc")]),
        ([said_chunk("a"), said_chunk("b", 1), said_chunk("c", 1)], [said_chunk("a"), said_chunk("bc", 1)]),
        ([said_chunk("a"), said_chunk("b"), FINISH, USAGE], [said_chunk("ab"), FINISH, USAGE]),
        ([said_chunk("a"), CALLING, said_chunk("b")], [said_chunk("a"), CALLING, said_chunk("b")]),
        ([LIKELY, LIKELY], [LIKELY, LIKELY]),
        ([USAGE, USAGE], [USAGE, USAGE]),
    ],
    ids=["none", "one", "a text", "two choices", "an end", "a call", "probabilities", "usage"],
)
def test_neighbours_that_go_on_with_one_text_are_one(chunks: list[Chunk], expected: list[Chunk]) -> None:
    assert list(joined(chunks)) == expected


@pytest.mark.parametrize("at_once", [False, True], ids=["an event a read", "all in one read"])
async def test_an_answer_is_judged_the_same_however_its_events_arrive(tmp_path: Path, *, at_once: bool) -> None:
    events = said(*(["Write to ", "jane.", "doe@", "example.com", " about it, ", "or to nobody. "] * 30))
    cache = FakeCache([b"".join(events)] if at_once else events)
    answer = await guarded(tmp_path, cache).ask(question(stream=True))
    assert answer.status == 200
    assert answer.body.count(b"[EMAIL]") == 30
    assert MAIL.encode() not in answer.body
