from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.cache.shared.resp import MOST_REPLY_BYTES, GarbledError, Reply, ReplyError, command, parse

REPLIES: list[tuple[bytes, Reply]] = [
    (b"+OK\r\n", "OK"),
    (b":-7\r\n", -7),
    (b"$5\r\nab\r\nc\r\n", b"ab\r\nc"),
    (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", [b"a", [1]]),
]


@pytest.mark.parametrize(("data", "reply"), REPLIES)
def test_a_reply_is_read_once_it_is_whole(data: bytes, reply: Reply) -> None:
    for length in range(len(data)):
        assert parse(data[:length]) is None
    assert parse(data + b"more") == (reply, len(data))


def test_a_refusal_is_known_by_its_code_alone() -> None:
    found = parse(b"-OOM command not allowed for secret\r\n")
    assert found is not None
    assert isinstance(found[0], ReplyError)
    assert str(found[0]) == "OOM"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"$x\r\n",
        b"$-2\r\n",
        b"$2\r\nabcd",
        b"$%d\r\n" % (MOST_REPLY_BYTES + 1),
        b"*%d\r\n" % 10**19,
        b":\r\n",
        b":--1\r\n",
        b"*1\r\n" * 6 + b":1\r\n",
        b"+" + b"x" * 10_000,
    ],
    ids=["http", "length", "negative", "longer", "huge", "many", "empty", "signs", "deep", "endless"],
)
def test_what_is_no_reply_is_not_waited_for(data: bytes) -> None:
    with pytest.raises(GarbledError):
        parse(data)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_a_command_reads_as_the_list_of_its_words(words: list[bytes]) -> None:
    sent = command(*words)
    assert parse(sent) == (words, len(sent))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_reply_or_too_few_or_garbled(data: bytes) -> None:
    try:
        found = parse(data)
    except GarbledError:
        return
    assert found is None or 0 < found[1] <= len(data)
