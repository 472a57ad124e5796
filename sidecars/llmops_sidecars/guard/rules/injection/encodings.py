"""Texts inside a text: what stands in base64, hexadecimal digits, escapes, or backwards, decoded once and bounded."""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from llmops_sidecars.guard.rules.injection.tokens import CODE, REVERSED, ROTATED, Tokens
from llmops_sidecars.guard.rules.injection.words import words_of

MOST_PIECES, LONGEST = 8, 16384
"""Pieces decoded in a text, and characters of one; what is beyond is looked at as it stands."""

LEAST = 12
"""Characters that a decoded piece must have to say anything."""

READABLE = 0.85
"""Share of letters and spaces of a piece that was meant to be read."""

BASE64 = re.compile(r"[A-Za-z0-9+/_\-]{20,}={0,2}")
HEXADECIMAL = re.compile(r"(?:\\x|0x|\b)?[0-9a-fA-F]{2}(?:[ :,]?(?:\\x|0x)?[0-9a-fA-F]{2}){11,}")
ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|&#x?[0-9A-Fa-f]+;|&[a-z]+;)")
FEWEST_ESCAPES = 3
LEAST_GLUED, LEAST_ENCODED = 16, 12
"""Letters of an unknown word that may be several; letters of one, or unknown words with digits, that may be a code."""
FEWEST_MARKS = 2


class Piece(NamedTuple):
    """A decoded text, and the characters that it stood in."""

    text: str
    start: int
    end: int


def pieces_of(text: str, said: Tokens) -> list[Piece]:
    """Everything that is decoded, at most `MOST_PIECES`; `said` are the text's tokens."""
    found: list[Piece] = []
    for piece in _decoded(text, said):
        if len(piece.text) >= LEAST and piece.text != text:
            found.append(piece)
        if len(found) == MOST_PIECES:
            break
    return found


def _decoded(text: str, said: Tokens) -> Iterator[Piece]:
    if said.spelled or said.glued >= LEAST_GLUED:
        yield Piece(" ".join(words_of(text[:LONGEST]).words), 0, len(text))
    if said.code >= LEAST_ENCODED or np.count_nonzero(said.rows == CODE) >= LEAST_ENCODED:
        yield from _from_runs(text)
    short = text[:LONGEST]
    if sum(map(short.count, "%\\&")) >= FEWEST_ESCAPES and len(ESCAPES.findall(short)) >= FEWEST_ESCAPES:
        yield Piece(_unescaped(short), 0, len(text))
    if np.count_nonzero(said.rows == ROTATED) >= FEWEST_MARKS:
        yield Piece(codecs.encode(short, "rot13"), 0, len(text))
    if np.count_nonzero(said.rows == REVERSED) >= FEWEST_MARKS:
        yield Piece(short[::-1], 0, len(text))


def _from_runs(text: str) -> Iterator[Piece]:
    for found in BASE64.finditer(text):
        if (said := _from_base64(found[0][:LONGEST])) is not None:
            yield Piece(said, found.start(), found.end())
    for found in HEXADECIMAL.finditer(text):
        digits = re.sub(r"\\x|0x|[^0-9a-fA-F]", "", found[0][:LONGEST])
        if (said := _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))) is not None:
            yield Piece(said, found.start(), found.end())


def _from_base64(said: str) -> str | None:
    standard = said.rstrip("=").replace("-", "+").replace("_", "/")
    if len(standard) % 4 == 1:
        standard = standard[:-1]
    try:
        return _readable(base64.b64decode(standard + "=" * (-len(standard) % 4)))
    except binascii.Error:
        return None


def _readable(content: bytes) -> str | None:
    """The text of the bytes, when they are one."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    good = sum(character.isalpha() or character.isspace() for character in text)
    return text if text and good >= READABLE * len(text) else None


def _unescaped(text: str) -> str:
    plain = html.unescape(unquote(text))
    return re.sub(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})", lambda one: chr(int(one[1] or one[2], 16)), plain)
