from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.openai.answers import Delta, FunctionDelta, ToolCallDelta, Usage
from llmops_sidecars.openai.errors import engine_failed
from llmops_sidecars.openai.events import (
    DONE,
    DONE_DATA,
    ChunkWriter,
    EventSplitter,
    EventTooLargeError,
    encode_event,
    error_event,
)
from tests.support.asgi import events_of

STREAM = 'data: {"a": "grüße 🎈"}\n\n: a comment\n\ndata: two\ndata:  lines\n\nevent: x\nid: 1\ndata:3\n\n'.encode()
DATA = ['{"a": "grüße 🎈"}'.encode(), b"two\n lines", b"3"]


def fed(splitter: EventSplitter, stream: bytes, size: int) -> list[bytes]:
    """What comes out when the stream arrives in pieces of that size."""
    return [data for start in range(0, len(stream), size) for data in splitter.feed(stream[start : start + size])]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CR LF", "CR"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_found_however_the_bytes_arrive(line_end: bytes, size: int) -> None:
    stream = STREAM.replace(b"\n", line_end)
    splitter = EventSplitter()
    assert fed(splitter, stream, size) == DATA
    assert not splitter.pending


@given(
    texts=st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=5),
    cuts=st.lists(st.integers(0, 200), max_size=10),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
)
def test_what_is_encoded_is_found_again(texts: list[str], cuts: list[int], line_end: bytes) -> None:
    stream = b"".join(encode_event(text.encode()) for text in texts).replace(b"\n", line_end)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    splitter = EventSplitter()
    found = [data for start, end in itertools.pairwise(places) for data in splitter.feed(stream[start:end])]
    assert found == [text.encode() for text in texts]


@given(st.lists(st.sampled_from(["data: ", "data:", "a", "\n", "\n\n", ": ", "event: x"]), max_size=12))
def test_one_read_and_many_find_the_same(parts: list[str]) -> None:
    stream = "".join(parts).encode() + b"\n\n"
    assert fed(EventSplitter(), stream, len(stream)) == fed(EventSplitter(), stream, 1)


def test_empty_reads_change_nothing() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\r") == []
    assert splitter.feed(b"") == []
    assert splitter.feed(b"\n\r\n") == [b"a"]


def test_a_cut_event_is_seen() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\n\ndata: b") == [b"a"]
    assert splitter.pending


@pytest.mark.parametrize("size", [10, 1000], ids=["in pieces", "at once"])
@pytest.mark.parametrize("end", [b"", b"\n\n"], ids=["unfinished", "finished"])
def test_an_event_has_a_largest_size(size: int, end: bytes) -> None:
    stream = b"data: " + b"x" * 101 + end
    with pytest.raises(EventTooLargeError, match="larger than 100 bytes"):
        fed(EventSplitter(max_event_bytes=100), stream, size)


def test_many_small_events_are_no_large_one() -> None:
    assert len(EventSplitter(max_event_bytes=10).feed(b"data: x\n\n" * 1000)) == 1000


@pytest.mark.parametrize("text", ["word", 'a "quote"', "\n\r\t\x00", "\u2028 grüße 🎈", "\\u0000", ""])
def test_a_chunk_written_from_the_template_is_a_chunk_like_any_other(text: str) -> None:
    writer = ChunkWriter('chatcmpl-"1"\x00', 7, 'the "content": model')
    assert writer.text(text) == writer.delta(Delta(content=text))


def test_the_chunks_of_an_answer() -> None:
    writer = ChunkWriter("chatcmpl-1", 7, "chat")
    call = ToolCallDelta(0, "call_1", "function", FunctionDelta("f", "{"))
    stream = [
        writer.role(),
        writer.text("Hi"),
        writer.delta(Delta(tool_calls=(call,))),
        writer.finish("stop"),
        writer.usage(Usage(1, 2, 3)),
        DONE,
    ]
    head = {"id": "chatcmpl-1", "created": 7, "model": "chat", "object": "chat.completion.chunk"}
    function = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{"}}
    deltas = [{"role": "assistant", "content": ""}, {"content": "Hi"}, {"tool_calls": [function]}, {}]
    reasons = [None, None, None, "stop"]
    assert events_of(b"".join(stream)) == [
        *(
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
            for delta, reason in zip(deltas, reasons, strict=True)
        ),
        {**head, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        "[DONE]",
    ]


def test_an_error_event_holds_the_envelope() -> None:
    (event,) = events_of(error_event(engine_failed()))
    assert event == msgspec.json.decode(engine_failed().encode())


def test_the_last_event_says_done() -> None:
    assert EventSplitter().feed(DONE) == [DONE_DATA]
