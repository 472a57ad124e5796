from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from llmops_sidecars.contract import Limits
from llmops_sidecars.engine.driver import Piece
from llmops_sidecars.engine.generation import answer_events
from llmops_sidecars.engine.limits import within_limits
from llmops_sidecars.openai.answers import (
    FunctionDelta,
    LikelyToken,
    Logprobs,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    decode_chunk,
)
from llmops_sidecars.openai.errors import ApiError, engine_failed
from llmops_sidecars.openai.events import DONE_DATA, ChunkWriter, EventSplitter
from tests.sidecars_.engine.kit import generate, stream


async def events(*pieces: Piece, **fields: Any) -> list[Any]:
    """The decoded events of an answer, [DONE] left out after it was seen."""
    source = answer_events(stream(*pieces), ChunkWriter("1", 7, "chat"), generate("Hi", **fields))
    found = EventSplitter().feed(b"".join([data async for data in source]))
    assert found.pop() == DONE_DATA
    return [decode_chunk(data) for data in found]


async def seen(*pieces: Piece, **fields: Any) -> tuple[str, str | None, Usage]:
    """Text, finish reason and usage of an answer."""
    *chunks, last = await events(*pieces, **fields)
    choices = [choice for chunk in chunks for choice in chunk.choices]
    return "".join(choice.delta.content or "" for choice in choices), choices[-1].finish_reason, last.tokens


async def test_an_answer_begins_with_its_role_and_ends_with_reason_and_usage() -> None:
    chunks = await events(Piece("one", 1), Piece(" two", 1), Piece(finish_reason="stop"))
    shapes = [
        [(choice.delta.role, choice.delta.content, choice.finish_reason) for choice in chunk.choices]
        for chunk in chunks
    ]
    assert shapes == [
        [("assistant", "", None)],
        [(None, "one", None)],
        [(None, " two", None)],
        [(None, None, "stop")],
        [],
    ]
    assert chunks[-1].tokens == Usage(0, 2, 2)


@pytest.mark.parametrize(
    ("pieces", "fields", "expected"),
    [
        ([Piece("one", 1, "stop")], {}, ("one", "stop", Usage(0, 1, 1))),
        ([Piece(finish_reason="stop")], {}, ("", "stop", Usage())),
        ([Piece("a", 1), Piece("b", 1, "length")], {}, ("ab", "length", Usage(0, 2, 2))),
        ([Piece("a", 1), Piece("", 0, "stop", usage=Usage(3, 4, 7))], {}, ("a", "stop", Usage(3, 4, 7))),
        ([Piece("a", 1, usage=Usage(3, 4, 7)), Piece("", 0, "stop")], {}, ("a", "stop", Usage(3, 4, 7))),
        ([Piece("a", 1), Piece("b", 1), Piece("c", 1)], {"output_tokens": 2}, ("ab", "length", Usage(0, 2, 2))),
        ([Piece("a", 1), Piece("b", 1, "stop")], {"output_tokens": 2}, ("ab", "stop", Usage(0, 2, 2))),
        ([Piece("one ST", 1), Piece("OP two", 1), Piece("x", 1)], {"stop": "STOP"}, ("one ", "stop", Usage(0, 2, 2))),
        ([Piece("one ST", 1), Piece(finish_reason="stop")], {"stop": "STOP"}, ("one ST", "stop", Usage(0, 1, 1))),
        ([Piece("one ST", 1), Piece("", 0, "stop", "STOP")], {"stop": "STOP"}, ("one ", "stop", Usage(0, 1, 1))),
        (
            [Piece("one ST", 1), Piece("A", 1)],
            {"stop": "STOP", "output_tokens": 1},
            ("one ST", "length", Usage(0, 1, 1)),
        ),
    ],
    ids=[
        "one piece",
        "nothing",
        "cut by the engine",
        "the engine counts",
        "the engine counts early",
        "the engine goes on too long",
        "exactly long enough",
        "stop word let pass",
        "stop word only begun",
        "stop word leaked",
        "too long with a stop word begun",
    ],
)
async def test_answers(pieces: list[Piece], fields: dict[str, Any], expected: tuple[str, str, Usage]) -> None:
    assert await seen(*pieces, **fields) == expected


async def test_tool_calls_and_refusals_pass() -> None:
    call = ToolCallDelta(0, "call_1", "function", FunctionDelta("f", "{}"))
    chunks = await events(Piece(tool_calls=(call,), tokens=1), Piece(refusal="No", finish_reason="tool_calls"))
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert [delta.tool_calls for delta in deltas] == [None, (call,), None, None]
    assert [delta.refusal for delta in deltas] == [None, None, "No", None]


async def test_several_choices_each_have_role_text_and_reason() -> None:
    pieces = [
        Piece("a", 1, index=1),
        Piece("b", 1),
        Piece("c", 1, "length", index=1),
        Piece("late", 1, index=1),
        Piece("d", 1, "stop"),
    ]
    *chunks, last = await events(*pieces, n=2)
    shapes = [
        (choice.index, choice.delta.role, choice.delta.content, choice.finish_reason)
        for chunk in chunks
        for choice in chunk.choices
    ]
    assert shapes == [
        (1, "assistant", "", None),
        (1, None, "a", None),
        (0, "assistant", "", None),
        (0, None, "b", None),
        (1, None, "c", None),
        (1, None, None, "length"),
        (0, None, "d", None),
        (0, None, None, "stop"),
    ]
    assert last.tokens == Usage(0, 4, 4)


async def test_each_choice_has_bounds_of_its_own() -> None:
    pieces = [Piece("a EN", 1), Piece("b", 1, index=1), Piece("D", 1), Piece("D", 1, index=1), Piece("c", 1, index=1)]
    chunks = await events(*pieces, n=2, stop="END", output_tokens=2)
    texts = ["", ""]
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        texts[choice.index] += choice.delta.content or ""
    assert texts == ["a ", "bD"]


@pytest.mark.parametrize("piece", [Piece("a", 1, index=1), Piece("a", 1, index=-1)])
async def test_a_choice_that_was_not_asked_for_is_a_failure(piece: Piece) -> None:
    with pytest.raises(ApiError, match="more choices"):
        await events(piece)


async def test_an_answer_without_one_of_its_choices_was_cut() -> None:
    with pytest.raises(ApiError, match="before it was complete"):
        await events(Piece("a", 1, "stop"), n=2)


def probable(token: str) -> TokenLogprob:
    return TokenLogprob(token, -0.5, tuple(token.encode()), (LikelyToken(token, -0.5),))


@pytest.mark.parametrize(
    ("texts", "reason", "told"),
    [
        (["one", " two"], "stop", [["one"], [" two"]]),
        (["one ST", "OP", " two"], "stop", []),
        (["one ", "ST", "AY", "!"], "stop", [["one "], ["ST", "AY"], ["!"]]),
        (["one", " ST"], "stop", [["one"], [" ST"]]),
        (["\N{SNOWMAN}", ""], "stop", [["\N{SNOWMAN}"], [""]]),
        (["one", " ST", "A", "B"], "length", [["one"], [" ST", "A"], ["B"]]),
    ],
    ids=["at once", "never with a stop word", "held back", "held back to the end", "no text", "cut"],
)
async def test_log_probabilities_leave_with_their_text(texts: list[str], reason: str, told: list[list[str]]) -> None:
    pieces = [Piece(text, 1, logprobs=(probable(text),)) for text in texts]
    chunks = await events(*pieces, Piece(finish_reason=reason), stop="STOP", logprobs=True)
    logprobs = [choice.logprobs for chunk in chunks for choice in chunk.choices]
    given = [entry.content for entry in logprobs if isinstance(entry, Logprobs) and entry.content]
    assert given == [tuple(map(probable, tokens)) for tokens in told]


async def test_log_probabilities_of_a_refusal_are_told_as_such() -> None:
    chunks = await events(Piece(refusal="No", tokens=1, finish_reason="stop", logprobs=(probable("No"),)))
    told = [choice.logprobs for chunk in chunks for choice in chunk.choices if isinstance(choice.logprobs, Logprobs)]
    assert told == [Logprobs(refusal=(probable("No"),))]


class Source:
    """Pieces that end with an error, or wait; it knows whether it was closed."""

    def __init__(self, *pieces: Piece, error: ApiError | None = None) -> None:
        self._pieces, self._error = pieces, error
        self.closed = False

    async def __call__(self) -> AsyncGenerator[Piece]:
        try:
            for piece in self._pieces:
                yield piece
            if self._error:
                raise self._error
        finally:
            self.closed = True


@pytest.mark.parametrize("pieces", [[], [Piece("one", 1)]], ids=["at once", "later"])
async def test_a_stream_that_ends_without_a_reason_was_cut(pieces: list[Piece]) -> None:
    source = answer_events(stream(*pieces), ChunkWriter("1", 7, "chat"), generate("Hi"))
    with pytest.raises(ApiError, match="before it was complete"):
        [data async for data in source]


async def test_an_error_before_the_first_piece_comes_before_the_first_event() -> None:
    source = Source(error=engine_failed())
    with pytest.raises(ApiError):
        await anext(answer_events(source(), ChunkWriter("1", 7, "chat"), generate("Hi")))
    assert source.closed


@pytest.mark.parametrize("fields", [{"stop": "two"}, {"output_tokens": 1}], ids=["stop word", "limit"])
async def test_a_generation_that_is_cut_is_cancelled(fields: dict[str, Any]) -> None:
    source = Source(Piece("one", 1), Piece("two", 1), Piece("three", 1))
    async for _ in answer_events(source(), ChunkWriter("1", 7, "chat"), generate("Hi", **fields)):
        pass
    assert source.closed


async def test_closing_the_events_cancels_the_generation() -> None:
    source = Source(Piece("one", 1), Piece("two", 1))
    pieces = within_limits(source(), Limits())
    async with contextlib.aclosing(answer_events(pieces, ChunkWriter("1", 7, "chat"), generate("Hi"))) as answer:
        await anext(answer)
    assert source.closed
