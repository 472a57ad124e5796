"""RE2, as the rules use it: linear time whatever the pattern and the text, and all patterns in one pass."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar

import re2

T = TypeVar("T")

MEMORY = 8 << 20
"""Bytes that one compiled pattern, and one set of them, may take."""

LETTERS = r"\p{Latin}\p{Greek}\p{Cyrillic}"
"""Alphabets that put spaces between words: in others an address would take the sentence before it along."""

ESCAPES = "nrtbf"
"""Letters that after a backslash are no letters: line breaks and the like, in JSON inside a text."""


def options() -> Any:
    """Quiet: a refused pattern is an exception, not a line on standard error."""
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.max_mem = MEMORY
    return chosen


class Text(str):
    """A text that several rules look at, with what has been made of it."""

    __slots__ = ("made",)
    made: dict[Any, Any]

    def __new__(cls, text: str) -> Self:
        """Nothing has been made of it yet."""
        self = super().__new__(cls, text)
        self.made = {}
        return self


def once(text: str, make: Callable[[str], T]) -> T:
    """What a function makes of a text, made once of a `Text`."""
    if not isinstance(text, Text):
        return make(text)
    if make not in text.made:
        text.made[make] = make(text)
    found: T = text.made[make]
    return found


class PatternSet:
    """Named patterns, searched together; only those that occur are searched again for their places.

    An empty pattern is in the set that occurs in every text: when it is not reported, the set ran out of memory, which
    RE2 does not say otherwise. All patterns are searched one by one then, as always when they are too large for a set.

    Those named in `apart` have a set of their own: RE2 remembers combinations of what each pattern has seen so far,
    and where there are more of them than fit into its memory, a pass takes many times as long.
    """

    def __init__(self, patterns: Mapping[str, str], *, apart: Collection[str] = ()) -> None:
        """Compile; raises re2.error for a pattern that RE2 refuses."""
        self._names = list(patterns)
        self._patterns = [re2.compile(pattern, options()) for pattern in patterns.values()]
        self._sets = [
            (_compiled_set([patterns[name] for name in group]), [self._names.index(name) for name in group])
            for group in ([name for name in patterns if (name in apart) is one] for one in (False, True))
            if group
        ]

    def places(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Name, start and end of every occurrence that is not empty, in characters."""
        encoded = once(text, str.encode)
        for index in self._occurring(encoded):
            for start, end in spans(self._patterns[index], text, encoded):
                if end > start:
                    yield self._names[index], start, end

    def _occurring(self, text: bytes) -> list[int]:
        occurring: list[int] = []
        for together, indexes in self._sets:
            found: list[int] = (together.Match(text) if together else None) or []
            if len(indexes) not in found:
                occurring += indexes
            elif len(found) > 1:
                occurring += [indexes[one] for one in sorted(found)[:-1]]
        return occurring


def spans(pattern: Any, text: str, encoded: bytes | None = None) -> Iterator[tuple[int, int]]:
    """Where a compiled pattern occurs, in characters; RE2's binding counts them for each match, and more slowly.

    `encoded`: the text in UTF-8, for those who have it.
    """
    encoded = once(text, str.encode) if encoded is None else encoded
    found = (match.span() for match in pattern.finditer(encoded))
    return found if len(encoded) == len(text) else _in_characters(found, encoded)


def _in_characters(found: Iterable[tuple[int, int]], encoded: bytes) -> Iterator[tuple[int, int]]:
    """Places in UTF-8, in order and apart, as places in the text."""
    byte = character = 0
    for start, end in found:
        first = character + len(encoded[byte:start].decode())
        byte, character = end, first + len(encoded[start:end].decode())
        yield first, character


def _compiled_set(patterns: list[str]) -> Any:
    """The set with its witness; None for one pattern, which is faster alone, and for those too large together."""
    if len(patterns) == 1:
        return None
    together = re2.Set.SearchSet(options())
    for pattern in (*patterns, ""):
        together.Add(pattern)
    try:
        together.Compile()
    except re2.error:
        return None
    return together


UNSPACED = (
    range(0x0E00, 0x0F00),
    range(0x1000, 0x10A0),
    range(0x1780, 0x1800),
    range(0x2E80, 0xA4D0),
    range(0xAC00, 0xD7B0),
)
"""Scripts without spaces between words, or before endings: Thai, Lao, Burmese, Khmer, those of East Asia."""

BEYOND_BASIC = 0x20000
"""From here on: more Chinese characters."""


def joins(character: str) -> bool:
    """Whether a character ties what stands beside it to a longer word: letters, digits, marks on them, underscores."""
    if character.isascii():
        return character.isalnum() or character == "_"
    code = ord(character)
    if code >= BEYOND_BASIC or any(code in script for script in UNSPACED):
        return False
    return character.isalnum() or unicodedata.category(character).startswith("M")


def starts_word(text: str, start: int) -> bool:
    """Whether nothing before a place makes it a part of a longer word; the `n` of an escaped line break does not."""
    if start == 0 or not joins(text[start - 1]):
        return True
    return start > 1 and text[start - 1] in ESCAPES and text[start - 2] == "\\"


def ends_word(text: str, end: int) -> bool:
    """Whether nothing at a place makes what ends there a part of a longer word."""
    return end >= len(text) or not joins(text[end])


def plain(text: str, beyond: set[str] | None = None) -> str:
    """The text as patterns expect it, character by character, so that places stay what they are.

    Compatibility forms (full-width digits, styled letters) become what they stand for (NFKC, where that is one
    character), all dashes a hyphen, all spaces within a line a space. `beyond`: its characters beyond ASCII, for those
    who have them.
    """
    if text.isascii():
        return text
    beyond = beyond_ascii(text) if beyond is None else beyond
    return replaced(text, {one: simple for one in beyond if (simple := _PLAIN[ord(one)]) != one})


def beyond_ascii(text: str) -> set[str]:
    """The characters of a text that are not ASCII, each once: in most texts a few."""
    return set(text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass"))


def replaced(text: str, by: Mapping[str, str]) -> str:
    """The text with some characters replaced by others."""
    if len(by) > MANY:
        return text.translate({ord(one): other for one, other in by.items()})
    for one, other in by.items():
        text = text.replace(one, other)
    return text


class _Plain(dict[int, str]):
    """Filled as characters are met: the table is as large as the alphabets in use."""

    def __missing__(self, code: int) -> str:
        self[code] = result = _plain_character(chr(code))
        return result


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    simple = unicodedata.normalize("NFKC", character)
    return simple if len(simple) == 1 else character


_PLAIN = _Plain()
_ASCII = bytes(range(128))

MANY = 12
"""Characters to replace from which on one pass over the text is faster than one for each."""
