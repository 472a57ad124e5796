"""One remembered answer. Its bytes prove themselves: a checksum first, and inside the key that they belong to."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from llmops_sidecars.openai.answers import Usage

CHECKSUM_BYTES = 32


class Entry(Struct, frozen=True):
    """A whole answer. `created` is in Unix seconds, as its chunks said; `key` is the digest of its request."""

    key: str
    model: str
    created: int
    text: str
    finish_reason: str
    usage: Usage | None = None


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """The checksum (SHA-256) and the entry as MessagePack."""
    packed = _ENCODER.encode(entry)
    return hashlib.sha256(packed).digest() + packed


def decode_entry(value: bytes, key: str) -> Entry | None:
    """The entry, or None when the bytes are damaged, of another shape, or those of another key."""
    checksum, packed = value[:CHECKSUM_BYTES], value[CHECKSUM_BYTES:]
    if hashlib.sha256(packed).digest() != checksum:
        return None
    try:
        entry = _DECODER.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return entry if entry.key == key else None
