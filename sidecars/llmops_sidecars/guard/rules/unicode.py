"""Characters that hide, reorder or fake text: invisible ones, controls of direction, tags, look-alikes, heaps of marks.

Each is looked at with its neighbours, so that what people write passes: emoji sequences, flags, the joiners of Persian
and of India's scripts, text from right to left, a byte order mark, soft hyphens. Everything is decided by at most
`NEAR` characters around it, the same on a stream as in a whole text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator

import re2

from llmops_sidecars.contract import Action, UnicodeKind, UnicodeRule
from llmops_sidecars.guard.rules.finding import Check, Finding
from llmops_sidecars.guard.rules.forms import INVISIBLE, LOOK_ALIKES
from llmops_sidecars.guard.rules.scan import PatternSet, beyond_ascii, once, options

RULE = "unicode"
ACTIONS = frozenset({Action.REPORT, Action.MASK, Action.BLOCK})

Places = Iterator[tuple[int, int, str]]
"""Start, end, and what stands there when it is masked: nothing, or the letter that is meant."""

NEAR = 64
"""Characters within which letters from right to left explain a control that stands among them."""

MOST_STRAY = 1
"""Invisible characters in a row that nothing has to explain: single ones come with what people copy."""

SHORTEST_WORD = 3
"""Letters of a word in which two alphabets are a fake: shorter ones are formulas and units."""

OVERRIDES, LEFTWARDS = "\u202d\u202e", "\u200f\u202b\u2067\u061c"
TAGS = frozenset(range(0xE0000, 0xE0080))
BIDIRECTIONAL = frozenset({0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)})
COMBINING = frozenset(
    (*range(0x300, 0x370), *range(0x483, 0x48A), *range(0x1AB0, 0x1B00), *range(0x1DC0, 0x1E00), *range(0x20D0, 0x2100))
)
"""Combining marks that belong to no script. Vietnamese and phonetics put up to three on a letter."""


def _class(codes: Iterable[int]) -> str:
    return "[" + "".join(f"\\x{{{code:X}}}" for code in sorted(codes)) + "]"


CANDIDATES = {
    UnicodeKind.INVISIBLE: _class(INVISIBLE - BIDIRECTIONAL - TAGS) + "+",
    UnicodeKind.BIDIRECTIONAL: _class(BIDIRECTIONAL) + "+",
    UnicodeKind.TAGS: _class(TAGS) + "+",
    UnicodeKind.LOOK_ALIKES: (
        r"(?:\p{Latin}+[\p{Cyrillic}\p{Greek}]|[\p{Cyrillic}\p{Greek}]+\p{Latin})[\p{Latin}\p{Cyrillic}\p{Greek}]*"
    ),
    UnicodeKind.MARKS: _class(COMBINING) + r"{4,}|\p{M}{8,}",
}

SUSPECT = re2.compile(
    rf"{_class(INVISIBLE | BIDIRECTIONAL | TAGS | COMBINING)}|\p{{M}}|\p{{Cyrillic}}|\p{{Greek}}", options()
)
"""What one of the characters of any candidate is."""


class _Suspects(dict[str, bool]):
    """From a character to whether it is one, filled as characters are met."""

    def __missing__(self, character: str) -> bool:
        self[character] = result = SUSPECT.search(character) is not None
        return result


_SUSPECTS = _Suspects()

ENDING = re2.compile(
    rf"(?s:.?)(?:\p{{M}}|{_class(INVISIBLE)})+$|[{LEFTWARDS}][^\n]{{0,{NEAR - 1}}}$",
    options(),
)
"""What the end of a stream may still become part of, with the character before; a control that waits for its text."""

FLAG = re2.compile(r"[\x{E0030}-\x{E0039}\x{E0061}-\x{E007A}]{2,6}\x{E007F}", options())
BLACK_FLAG = "\U0001f3f4"

ZERO_WIDTH_SPACE, NON_JOINER, JOINER, SOFT_HYPHEN, BYTE_ORDER_MARK = "\u200b", "\u200c", "\u200d", "\u00ad", "\ufeff"
GRAPHEME_JOINER = "\u034f"
SELECTORS, IDEOGRAPH_SELECTORS = range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)
MONGOLIAN_SELECTORS, HANGUL_FILLERS = range(0x180B, 0x1810), range(0x115F, 0x1161)

JOINING = (
    range(0x0600, 0x10A0),
    range(0x1780, 0x18B0),
    range(0xA800, 0xAC00),
    range(0xFB50, 0xFE00),
    range(0xFE70, 0xFEFF),
    range(0x10A00, 0x12000),
)
"""Scripts whose letters change beside each other, or that put no spaces between words."""

HANGUL, MONGOLIAN = (range(0x1100, 0x1200),), (range(0x1800, 0x18B0),)
IDEOGRAPHS = (range(0x3400, 0xA000), range(0xF900, 0xFB00), range(0x20000, 0x33480))
PICTURES = frozenset({"So", "Sk", "Sm", "Sc", "Po", "Pd", "Nd", "Me"})
"""Categories of what emoji and other signs with variants are made of."""

LATIN_FOR = {chr(other): chr(latin) for other, latin in LOOK_ALIKES.items()}
OTHER_FOR = {latin: other for other, latin in reversed(LATIN_FOR.items()) if "Ѐ" <= other <= "ԯ"}
"""Letters by what they look like: Cyrillic and Greek ones, and Cyrillic ones for Latin ones."""


def make(rule: UnicodeRule) -> Check:
    """The rule for the kinds that it names; raises ValueError for an action that it has not."""
    if rule.action not in ACTIONS:
        raise ValueError(f"unicode: the action is Block, Mask or Report, not {rule.action}")
    candidates = PatternSet({kind: CANDIDATES[kind] for kind in rule.kinds})

    def find(text: str) -> list[Finding]:
        if text.isascii() or not any(map(_SUSPECTS.__getitem__, once(text, beyond_ascii))):
            return []
        return [
            Finding(first, last, RULE, UnicodeKind(kind).value, label, rule.action)
            for kind, start, end in candidates.places(text)
            for first, last, label in FINDERS[UnicodeKind(kind)](text, start, end)
        ]

    return Check(RULE, find, tail=_tail, as_is=True, context=NEAR)


def _tail(text: str) -> int:
    found = None if text.isascii() else ENDING.search(text)
    return len(text) if found is None else int(found.start())


def _invisible(text: str, start: int, end: int) -> Places:
    """Those of a run that nothing explains, when they are several or hide in a word."""
    stray = [place for place in range(start, end) if not _explained(text, place)]
    if not stray:
        return
    in_word = end - start == len(stray) and _is_letter(text[start - 1 : start]) and _is_letter(text[end : end + 1])
    if len(stray) > MOST_STRAY or (in_word and text[stray[0]] != SOFT_HYPHEN):
        for place in stray:
            yield place, place + 1, ""


def _explained(text: str, place: int) -> bool:
    """Whether an invisible character does what it is for."""
    said, before, after = text[place], text[place - 1 : place], text[place + 1 : place + 2]
    if said == JOINER and (_is_picture(before) or ord(before or "\0") in SELECTORS):
        return _is_picture(after)
    if said in (JOINER, NON_JOINER, ZERO_WIDTH_SPACE):
        return _within(before, JOINING) or _within(after, JOINING)
    if said == GRAPHEME_JOINER:
        return unicodedata.combining(before or " ") > 0 and unicodedata.combining(after or " ") > 0
    return _belongs(ord(said), before, after) or (said == BYTE_ORDER_MARK and place == 0)


def _belongs(code: int, before: str, after: str) -> bool:
    """Whether it chooses a variant of the character before, or fills a syllable's place."""
    if code in SELECTORS:
        return _is_picture(before) or _within(before, IDEOGRAPHS) or _within(before, JOINING)
    if code in HANGUL_FILLERS:
        return _within(before, HANGUL) or _within(after, HANGUL)
    blocks = IDEOGRAPHS if code in IDEOGRAPH_SELECTORS else MONGOLIAN if code in MONGOLIAN_SELECTORS else ()
    return _within(before, blocks)


def _bidirectional(text: str, start: int, end: int) -> Places:
    """Overrides, and controls that turn text around where nothing is written from right to left."""
    for place in range(start, end):
        if text[place] in OVERRIDES or (text[place] in LEFTWARDS and not _leftward_near(text, place)):
            yield place, place + 1, ""


def _leftward_near(text: str, place: int) -> bool:
    before = text[max(place - NEAR, 0) : place].rpartition("\n")[2]
    after = text[place + 1 : place + NEAR].partition("\n")[0]
    return any(unicodedata.bidirectional(one) in {"R", "AL"} and one not in LEFTWARDS for one in before + after)


def _tags(text: str, start: int, end: int) -> Places:
    """Tags that are not a region's flag, such as Scotland's."""
    if text[start - 1 : start] != BLACK_FLAG or not FLAG.fullmatch(text[start:end]):
        yield start, end, ""


def _look_alikes(text: str, start: int, end: int) -> Places:
    """Letters of the alphabet that has fewer in a word, when all of them pass for the other one's.

    Also of a Cyrillic one that has more, where a Latin letter that is none of its own says what the word is meant to
    be. A Cyrillic word with one Latin letter is a slip of a finger; a Greek letter at either end is a formula.
    """
    word = text[start:end]
    foreign = [place for place, one in enumerate(word) if not _is_latin(one)]
    latin = [place for place, one in enumerate(word) if _is_latin(one)]
    passes: dict[str, str] = LATIN_FOR
    least = 1
    meant = any(word[place] not in OTHER_FOR for place in latin) and not any(_is_greek(word[one]) for one in foreign)
    if len(foreign) * 2 > len(word) and not meant:
        foreign, passes, least = latin, OTHER_FOR, 2
    if len(word) < SHORTEST_WORD or len(foreign) < least or not all(word[place] in passes for place in foreign):
        return
    if len(foreign) == 1 and foreign[0] in (0, len(word) - 1) and _is_greek(word[foreign[0]]):
        return
    for place in foreign:
        yield start + place, start + place + 1, passes[word[place]]


def _marks(_text: str, start: int, end: int) -> Places:
    yield start, end, ""


FINDERS: dict[UnicodeKind, Callable[[str, int, int], Places]] = {
    UnicodeKind.INVISIBLE: _invisible,
    UnicodeKind.BIDIRECTIONAL: _bidirectional,
    UnicodeKind.TAGS: _tags,
    UnicodeKind.LOOK_ALIKES: _look_alikes,
    UnicodeKind.MARKS: _marks,
}
"""From a candidate to the places in it that are what they look like."""


def _within(character: str, blocks: Iterable[range]) -> bool:
    return bool(character) and any(ord(character) in block for block in blocks)


def _is_picture(character: str) -> bool:
    return bool(character) and unicodedata.category(character) in PICTURES


def _is_letter(character: str) -> bool:
    return character.isalpha()


def _is_latin(letter: str) -> bool:
    """Of a letter that is Latin, Cyrillic or Greek."""
    return not ("Ͱ" <= letter <= "ԯ" or "ἀ" <= letter <= "῿" or "ᲀ" <= letter <= "\u1c8f" or "ⷠ" <= letter <= "ⷿ")


def _is_greek(letter: str) -> bool:
    return "Ͱ" <= letter <= "Ͽ"
