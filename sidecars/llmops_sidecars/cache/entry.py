"""One remembered answer. Its bytes prove themselves: a checksum first, and inside the key that they belong to."""

from __future__ import annotations

import hashlib
import hmac

import msgspec
from msgspec import Struct

from llmops_sidecars.openai.answers import Usage

CHECKSUM_BYTES = 32


class Entry(Struct, frozen=True):
    """A whole answer. `created` is in Unix seconds, as its chunks said; `key` is the digest of its request.

    `stored` is when it was asked for, in Unix seconds.
    """

    key: str
    model: str
    created: int
    text: str
    finish_reason: str
    usage: Usage | None = None
    stored: float = 0.0


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Entry)


def encode_entry(entry: Entry, secret: bytes = b"") -> bytes:
    """The checksum (SHA-256; with a secret an HMAC of it) and the entry as MessagePack."""
    packed = _ENCODER.encode(entry)
    return _checksum(packed, secret) + packed


def decode_entry(value: bytes, key: str, secret: bytes = b"") -> Entry | None:
    """The entry, or None when the bytes are damaged, of another shape, of another secret, or those of another key."""
    checksum, packed = value[:CHECKSUM_BYTES], value[CHECKSUM_BYTES:]
    if not hmac.compare_digest(_checksum(packed, secret), checksum):
        return None
    try:
        entry = _DECODER.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return entry if entry.key == key else None


def _checksum(packed: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, packed, "sha256") if secret else hashlib.sha256(packed).digest()
