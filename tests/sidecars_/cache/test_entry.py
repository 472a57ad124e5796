from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.cache.entry import CHECKSUM_BYTES, Entry, decode_entry, encode_entry
from llmops_sidecars.openai.answers import Usage

ENTRY = Entry("key", "chat", 1_700_000_000, "The sky is blue.", "stop", Usage(3, 4, 7))


@given(st.text(), st.sampled_from(["stop", "length"]))
def test_an_entry_comes_back_as_it_was(text: str, finish_reason: str) -> None:
    entry = Entry("key", "chat", 1, text, finish_reason)
    assert decode_entry(encode_entry(entry), "key") == entry


def test_an_entry_under_another_key_is_none() -> None:
    assert decode_entry(encode_entry(ENTRY), "another") is None


def test_each_damaged_byte_is_noticed() -> None:
    value = encode_entry(ENTRY)
    for place in range(len(value)):
        damaged = bytearray(value)
        damaged[place] ^= 1
        assert decode_entry(bytes(damaged), "key") is None


@pytest.mark.parametrize("length", [0, 1, CHECKSUM_BYTES, CHECKSUM_BYTES + 5])
def test_a_cut_entry_is_none(length: int) -> None:
    assert decode_entry(encode_entry(ENTRY)[:length], "key") is None


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"key": "key"}),
        msgspec.msgpack.encode({"key": "key", "text": 1}),
        b"\xa1\xff",
    ],
    ids=["empty", "not-msgpack", "fields-missing", "wrong-type", "not-utf8"],
)
def test_another_shape_with_a_good_checksum_is_none(packed: bytes) -> None:
    assert decode_entry(hashlib.sha256(packed).digest() + packed, "key") is None
