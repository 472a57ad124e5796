"""Several choices, log probabilities, and demands on the answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmops_sidecars.contract import Action, Contract, Pattern, PatternsRule, PiiRule, Policy, StreamWindow
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.rules.finding import Finding
from llmops_sidecars.guard.text import GuardedText, Judging
from llmops_sidecars.guard.vault import Vault
from llmops_sidecars.openai.answers import (
    ChunkChoice,
    Delta,
    FunctionDelta,
    LikelyToken,
    Logprobs,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from llmops_sidecars.openai.events import DONE, OBFUSCATED_BYTES
from tests.sidecars_.guard.kit import MAIL, WRITER, FakeCache, asking, contract, guarded, question, said
from tests.support.asgi import Answer, events_of

END = WRITER.usage(Usage(3, 4, 7)) + DONE


def choice(index: int, content: str | None = None, reason: str | None = None, **fields: Any) -> bytes:
    return WRITER.choice(ChunkChoice(index, Delta(content=content), reason, **fields))


def texts(answer: Answer, *, stream: bool) -> dict[int, tuple[str, str | None]]:
    """What each choice says, and why it ended."""
    if not stream:
        return {one["index"]: (one["message"]["content"], one["finish_reason"]) for one in answer.json["choices"]}
    found: dict[int, tuple[str, str | None]] = {}
    for event in answer.events[:-1]:
        for one in event["choices"]:
            text, reason = found.get(one["index"], ("", None))
            assert reason is None, "a choice goes on after its end"
            found[one["index"]] = text + (one["delta"].get("content") or ""), one["finish_reason"]
    return found


@pytest.mark.parametrize("stream", [True, False])
async def test_every_choice_is_an_answer_of_its_own(tmp_path: Path, *, stream: bool) -> None:
    script = [choice(1, "B"), choice(0, "A"), choice(1, "b", "length"), choice(0, "a"), choice(0, None, "stop"), END]
    cache = FakeCache(script, headers=[(b"x-llmops-cache", b"bypass")])
    answer = await guarded(tmp_path, cache).ask(question(n=2, stream=stream))
    assert cache.requests[0]["n"] == 2
    assert texts(answer, stream=stream) == {0: ("Aa", "stop"), 1: ("Bb", "length")}
    if stream:
        roles = [one["index"] for e in answer.events[:-1] for one in e["choices"] if one["delta"].get("role")]
        assert roles == [0, 1]
    else:
        assert answer.json["usage"]["total_tokens"] == 7


@pytest.mark.parametrize("stream", [True, False])
async def test_a_block_ends_one_choice_and_the_others_go_on(tmp_path: Path, *, stream: bool) -> None:
    script = [
        *(choice(index, "It is Project") for index in range(2)),
        choice(0, " X, you know."),
        choice(1, " Y"),
        *(choice(index, " and more", "stop") for index in range(2)),
        END,
    ]
    cache = FakeCache(script, headers=[(b"x-llmops-cache", b"bypass")])
    guard = guarded(tmp_path, cache)
    answer = await guard.ask(question(n=2, stream=stream))
    assert texts(answer, stream=stream) == {0: ("It is ", "content_filter"), 1: ("It is Project Y and more", "stop")}
    assert await guard.metric('llmops_requests_total{outcome="answer_blocked",revision="r1"}') == 1


async def test_a_blocked_choice_is_told_at_once_and_the_engine_goes_on_until_all_are(tmp_path: Path) -> None:
    second, never = asyncio.Event(), asyncio.Event()
    blocked = "It is Project X. " + "And so on. " * 10
    cache = FakeCache([choice(0, blocked), second, choice(1, blocked), never])
    async with asking(guarded(tmp_path, cache), question(n=2, stream=True)) as pieces:
        received = b""
        async with asyncio.timeout(5):
            while b"content_filter" not in received:
                received += await anext(pieces)
        assert not cache.left.is_set()
        second.set()
        received += b"".join([piece async for piece in pieces])
    assert events_of(received)[-1] == "[DONE]"
    async with asyncio.timeout(5):
        await cache.left.wait()


async def test_a_choice_that_has_ended_says_so_while_others_go_on(tmp_path: Path) -> None:
    more = asyncio.Event()
    cache = FakeCache([choice(1, "short", "stop"), more, choice(0, "longer", "stop"), END])
    async with asking(guarded(tmp_path, cache), question(n=2, stream=True)) as pieces:
        received = b""
        async with asyncio.timeout(5):
            while b'"stop"' not in received:
                received += await anext(pieces)
        assert b"short" in received
        more.set()
        received += b"".join([piece async for piece in pieces])
    assert b"longer" in received


async def test_what_comes_for_a_choice_after_its_end_is_dropped(tmp_path: Path) -> None:
    script = [choice(1, "short", "stop"), choice(1, " and more"), choice(0, "a", "stop"), END]
    answer = await guarded(tmp_path, FakeCache(script)).ask(question(n=2))
    assert texts(answer, stream=False) == {0: ("a", "stop"), 1: ("short", "stop")}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("index", [-1, 2])
async def test_a_choice_that_nobody_asked_for_fails_the_answer(tmp_path: Path, index: int, *, stream: bool) -> None:
    cache = FakeCache([choice(0, "Some text. " * 10), choice(index, "x"), END])
    answer = await guarded(tmp_path, cache).ask(question(n=2, stream=stream))
    error = answer.events[-1]["error"] if stream else answer.error
    assert error["code"] == "engine_failed"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_without_the_end_of_one_choice_was_cut(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache([choice(0, "a", "stop"), choice(1, "b"), END])
    answer = await guarded(tmp_path, cache).ask(question(n=2, stream=stream))
    assert (answer.events[-1]["error"] if stream else answer.error)["code"] == "engine_failed"


def token(text: str, *others: str, raw: bytes | None = None) -> TokenLogprob:
    likely = tuple(LikelyToken(other, -2.0) for other in others)
    return TokenLogprob(text, -0.5, None if raw is None else tuple(raw), likely)


def with_logprobs(*tokens: TokenLogprob, **fields: Any) -> bytes:
    text = "".join(one.token for one in tokens)
    return choice(0, text, logprobs=Logprobs(tokens), **fields)


def told(answer: Answer, *, stream: bool) -> list[str]:
    """The tokens whose log probabilities were told."""
    if not stream:
        logprobs = answer.json["choices"][0]["logprobs"]
        return [one["token"] for one in logprobs["content"]] if logprobs else []
    found = [one.get("logprobs") for event in answer.events[:-1] for one in event["choices"]]
    return [one["token"] for logprobs in found if logprobs for one in logprobs["content"] or ()]


SLOW = contract(
    policy=Policy(
        name="slow",
        version="p1",
        output=(PiiRule(), PatternsRule((Pattern("project", r"(?i)project\s+x"),))),
        stream=StreamWindow(64, 60.0),
    )
)


@pytest.mark.parametrize("stream", [True, False])
async def test_log_probabilities_come_with_their_text(tmp_path: Path, *, stream: bool) -> None:
    tokens = [token("The", "A", "One"), token(" sky", " sea"), token(" is"), token(" blue")]
    script = [*(with_logprobs(one) for one in tokens), choice(0, reason="stop"), END]
    cache = FakeCache(script, headers=[(b"x-llmops-cache", b"bypass")])
    answer = await guarded(tmp_path, cache, SLOW).ask(question(logprobs=True, top_logprobs=2, stream=stream))
    assert told(answer, stream=stream) == ["The", " sky", " is", " blue"]
    assert (cache.requests[0]["logprobs"], cache.requests[0]["top_logprobs"]) == (True, 2)
    if not stream:
        assert answer.json["choices"][0]["logprobs"]["content"][0] == {
            "token": "The",
            "logprob": -0.5,
            "bytes": None,
            "top_logprobs": [{"token": one, "logprob": -2.0, "bytes": None} for one in ("A", "One")],
        }
        assert answer.json["choices"][0]["logprobs"]["refusal"] is None


async def test_log_probabilities_wait_as_long_as_their_text(tmp_path: Path) -> None:
    held, text = asyncio.Event(), "word " * 20
    cache = FakeCache([with_logprobs(token(text)), with_logprobs(token("later ")), held])
    async with asking(guarded(tmp_path, cache, SLOW), question(logprobs=True, stream=True)) as pieces:
        received = b""
        async with asyncio.timeout(5):
            while received.count(b"word") < 7:
                received += await anext(pieces)
    assert b"logprobs" not in received


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "tokens",
    [
        [token("Call "), token("+49 30 1234567"), token(" now, please, " + "and again " * 20)],
        [token("A"), token("bc", f"{MAIL} "), token("d" * 200 + " ")],
        [token("A", "proj"), token("b", "ect "), token("c", "X marks"), token(" d" * 200)],
        [token("A"), token("b", raw=b"Project X!"), token("c" * 200 + " ")],
        [token("A"), TokenLogprob("b", -1.0, None, (LikelyToken("c", -1.0, tuple(b"project x")),)), token(" d" * 200)],
    ],
    ids=["masked text", "alternative", "alternatives one after the other", "bytes", "bytes of an alternative"],
)
async def test_no_log_probabilities_are_told_from_a_finding_on(
    tmp_path: Path, tokens: list[TokenLogprob], *, stream: bool
) -> None:
    script = [*(with_logprobs(one) for one in tokens), choice(0, reason="stop"), END]
    answer = await guarded(tmp_path, FakeCache(script), SLOW).ask(
        question(logprobs=True, top_logprobs=2, stream=stream)
    )
    assert answer.status == 200
    seen = told(answer, stream=stream)
    assert seen in ([], ["Call "], ["A"]) if stream else seen == []
    for forbidden in ("1234567", MAIL, "roject"):
        assert forbidden not in answer.body.decode()


@pytest.mark.parametrize("stream", [True, False])
async def test_those_of_a_blocked_text_never_leave(tmp_path: Path, *, stream: bool) -> None:
    script = [
        with_logprobs(token("It is ")),
        with_logprobs(token("Project X"), token(" at last " * 20)),
        choice(0, reason="stop") + END,
    ]
    answer = await guarded(tmp_path, FakeCache(script), SLOW).ask(question(logprobs=True, stream=stream))
    assert texts(answer, stream=stream)[0] == ("It is ", "content_filter")
    assert b"Project" not in answer.body
    assert b"last" not in answer.body


@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_only_reported_keeps_its_log_probabilities(tmp_path: Path, *, stream: bool) -> None:
    used = contract(policy=Policy(output=(PatternsRule((Pattern("name", "Ada", Action.REPORT),)),)))
    script = [with_logprobs(token("Ada is here. ")), choice(0, reason="stop"), END]
    answer = await guarded(tmp_path, FakeCache(script), used).ask(question(logprobs=True, stream=stream))
    assert told(answer, stream=stream) == ["Ada is here. "]


@pytest.mark.parametrize("streams", [True, False])
def test_where_something_comes_back_from_the_vault_no_log_probabilities_are_told(*, streams: bool) -> None:
    """A token of a placeholder is no token of the text that the client gets."""
    vault = Vault()
    placeholder = vault.placeholder(Finding(0, 3, "pii", "Name", "[NAME]", Action.MASK, unmask=True), "Ada")
    text = GuardedText(Judging(Rules(), StreamWindow(), streams=streams, vault=vault, logprobs=True), Rules())
    leaving = [text.push(f"{placeholder} is here", 0.0, [token(placeholder), token(" is here")]), text.flush()]
    assert "".join(one.text for one in leaving) == "Ada is here"
    assert [one.logprobs for one in leaving] == [(), ()]


async def test_log_probabilities_that_were_not_asked_for_stay_here(tmp_path: Path) -> None:
    script = [with_logprobs(token("Hello"), token(" you")), choice(0, reason="stop"), END]
    for stream in (True, False):
        answer = await guarded(tmp_path, FakeCache(script)).ask(question(stream=stream))
        assert told(answer, stream=stream) == []


async def test_too_many_alternatives_fail_the_answer(tmp_path: Path) -> None:
    script = [with_logprobs(token("a", *"b" * 21)), choice(0, reason="stop"), END]
    answer = await guarded(tmp_path, FakeCache(script)).ask(question(logprobs=True))
    assert (answer.status, answer.error["code"]) == (502, "engine_failed")


async def test_bytes_that_are_none_fail_the_answer(tmp_path: Path) -> None:
    script = [with_logprobs(TokenLogprob("a", -1.0, (256,))), choice(0, reason="stop"), END]
    answer = await guarded(tmp_path, FakeCache(script)).ask(question(logprobs=True))
    assert (answer.status, answer.error["code"]) == (502, "engine_failed")


async def test_half_a_character_is_told_by_its_bytes(tmp_path: Path) -> None:
    halves = [TokenLogprob("?", -1.0, (0xC3,)), TokenLogprob("?", -1.0, (0xA9,))]
    script = [choice(0, "é", logprobs=Logprobs(tuple(halves))), choice(0, reason="stop"), END]
    answer = await guarded(tmp_path, FakeCache(script)).ask(question(logprobs=True))
    (one, other) = answer.json["choices"][0]["logprobs"]["content"]
    assert (one["token"], one["bytes"], other["token"]) == ("\\xc3", [0xC3], "\\xa9")


def called(name: str, arguments: str) -> bytes:
    call = ToolCallDelta(0, "engine-id", "function", FunctionDelta(name, arguments))
    return WRITER.delta(Delta(tool_calls=(call,)))


TOOLS: dict[str, Any] = {"tools": [{"type": "function", "function": {"name": "send", "parameters": {}}}]}
JSON: dict[str, Any] = {"response_format": {"type": "json_object"}}

WRONG: dict[str, tuple[dict[str, Any], list[bytes]]] = {
    "no JSON": (JSON, said("Sure: {}")),
    "function not offered": (TOOLS, [called("drop", "{}"), *said(reason="tool_calls")[1:]]),
    "arguments that are no JSON": (TOOLS, [called("send", "to Ada"), *said(reason="tool_calls")[1:]]),
    "function without name": (TOOLS, [called("", "{}"), *said(reason="tool_calls")[1:]]),
    "no tools at all": ({}, [called("send", "{}"), *said(reason="tool_calls")[1:]]),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("fields", "script"), WRONG.values(), ids=WRONG)
async def test_an_answer_that_was_not_asked_for_ends_with_an_error_and_is_not_remembered(
    tmp_path: Path, fields: dict[str, Any], script: list[bytes], *, stream: bool
) -> None:
    cache = FakeCache([WRITER.role(), *script])
    guard = guarded(tmp_path, cache)
    answer = await guard.ask(question(stream=stream, **fields))
    error = answer.events[-1]["error"] if stream else answer.error
    assert answer.status == (200 if stream else 502)
    assert (error["code"], error["type"]) == ("answer_not_conforming", "server_error")
    assert cache.commits == []
    assert await guard.metric('llmops_requests_total{outcome="answer_not_conforming",revision="r1"}') == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_the_name_of_a_function_that_was_not_offered_never_leaves(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache([WRITER.role(), called("drop_all_tables", "{}"), asyncio.Event()])
    answer = await guarded(tmp_path, cache).ask(question(stream=stream, **TOOLS))
    assert b"drop_all" not in answer.body
    async with asyncio.timeout(5):
        await cache.left.wait()


async def test_a_call_waits_for_the_text_before_it_and_ends_the_call_before_it(tmp_path: Path) -> None:
    """Clients take the first piece of a call for the end of what came before."""
    pieces = [
        WRITER.text("I ask "),
        WRITER.text("both"),
        called("send", '{"to": "A'),
        WRITER.delta(Delta(tool_calls=(ToolCallDelta(0, function=FunctionDelta(arguments='da"}')),))),
        WRITER.delta(Delta(tool_calls=(ToolCallDelta(1, "x", "function", FunctionDelta("send", '{"to": "B"}')),))),
    ]
    cache = FakeCache([WRITER.role(), *pieces, *said(reason="tool_calls")[1:]])
    answer = await guarded(tmp_path, cache, SLOW).ask(question(stream=True, **TOOLS))
    deltas = [one["delta"] for event in answer.events[:-1] for one in event["choices"]]
    told = ["text" if one.get("content") else one["tool_calls"][0]["index"] for one in deltas if len(one) == 1]
    assert [kind for place, kind in enumerate(told) if place == 0 or told[place - 1] != kind] == ["text", 0, 1]
    assert answer.text == "I ask both"


async def test_a_call_that_goes_on_after_another_has_begun_fails_the_answer(tmp_path: Path) -> None:
    second = WRITER.delta(Delta(tool_calls=(ToolCallDelta(1, "x", "function", FunctionDelta("send", "{}")),)))
    more = WRITER.delta(Delta(tool_calls=(ToolCallDelta(0, function=FunctionDelta(arguments="}")),)))
    cache = FakeCache([called("send", "{"), second, more, *said(reason="tool_calls")[1:]])
    answer = await guarded(tmp_path, cache).ask(question(**TOOLS))
    assert (answer.status, answer.error["code"]) == (502, "engine_failed")


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_in_the_form_that_was_asked_for_passes(tmp_path: Path, *, stream: bool) -> None:
    schema = {"type": "object", "properties": {"mail": {"type": "string"}}, "required": ["mail"]}
    form = {"type": "json_schema", "json_schema": {"name": "contact", "schema": schema, "strict": True}}
    cache = FakeCache(said('{"mail": ', f'"{MAIL}"', "}"))
    answer = await guarded(tmp_path, cache).ask(question(stream=stream, response_format=form))
    text = answer.text if stream else answer.json["choices"][0]["message"]["content"]
    assert msgspec.json.decode(text) == {"mail": "[EMAIL]"}
    assert len(cache.commits) == 1


async def test_a_mask_that_breaks_the_form_is_an_error_too(tmp_path: Path) -> None:
    used: Contract = contract(policy=Policy(output=(PiiRule(),)))
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"properties": {"a": {"pattern": "@"}}}}}
    answer = await guarded(tmp_path, FakeCache(said(f'{{"a": "{MAIL}"}}')), used).ask(question(response_format=form))
    assert (answer.status, answer.error["code"]) == (502, "answer_not_conforming")


async def test_usage_is_null_in_every_chunk_but_the_last_where_it_was_asked_for(tmp_path: Path) -> None:
    body = question(stream=True, stream_options={"include_usage": True})
    answer = await guarded(tmp_path, FakeCache(said("a ", "b"))).ask(body)
    *chunks, last, done = answer.events
    assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
    assert (last["choices"], last["usage"]["total_tokens"], done) == ([], 5, "[DONE]")


async def test_obfuscated_chunks_hide_how_long_their_texts_are(tmp_path: Path) -> None:
    body = question(stream=True, stream_options={"include_obfuscation": True})
    used = contract(policy=Policy())
    sizes = set()
    for length in range(1, 40):
        async with asking(guarded(tmp_path, FakeCache(said("a" * length)), used), body) as pieces:
            received = b"".join([piece async for piece in pieces])
        (event,) = [one for one in received.split(b"\n\n") if b'"content":"a' in one]
        assert msgspec.json.decode(event.removeprefix(b"data: "))["obfuscation"]
        sizes.add(len(event))
    assert len(sizes) <= 2
    assert len({size % OBFUSCATED_BYTES for size in sizes}) == 1
