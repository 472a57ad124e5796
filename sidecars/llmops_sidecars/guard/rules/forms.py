"""The forms in which rules look at a text, so that a disguise does not help; none of them is ever forwarded.

The text as it is; plain (character by character); folded (invisible characters dropped, NFKC, look-alikes); decoded
(base64, hexadecimal, percent-encoding: one level, bounded). ASCII without an encoded piece has one form: itself.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
import urllib.parse
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice

import re2

from llmops_sidecars.guard.rules.finding import Finding
from llmops_sidecars.guard.rules.scan import Text, beyond_ascii, once, options, plain, replaced, spans

ENCODED = re2.compile(
    r"(?:%[0-9A-Fa-f]{2}[!-$&-~]{0,8}){3,}|(?:[0-9A-Fa-f]{2}){12,}|[A-Za-z0-9+/_\-]{16,}={0,2}", options()
)
"""Percent-encoding, hexadecimal, base64."""

HEXADECIMAL = re.compile("[0-9A-Fa-f]{24,}")
MOST_PIECES = 32
"""Encoded pieces that are decoded in one text."""

MOST_DECODED = 64 * 1024
"""Characters that are decoded in one text."""

LEAST_DECODED = 8
"""Characters: fewer say nothing."""

PRINTABLE = 0.95
"""The share of printable characters from which bytes count as a text."""

CONTROLS = bytes(code for code in range(128) if not (chr(code).isprintable() or chr(code).isspace()))

BASE64_GROUP = 4

INVISIBLE = frozenset(
    chain(
        (0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0),
        *(range(0x180B, 0x1810), range(0x200B, 0x2010), range(0x202A, 0x202F), range(0x2060, 0x2070)),
        *(range(0xFE00, 0xFE10), range(0xFFF9, 0xFFFC), range(0xE0000, 0xE0080), range(0xE0100, 0xE01F0)),
    )
)
"""Code points that show nothing: Unicode's Default_Ignorable_Code_Point, and the interlinear annotations."""

TAGS = range(0xE0020, 0xE007F)
"""Invisible copies of ASCII: what they spell is read, too."""

LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁһԛԝвкмнтАВЕЅІЈКМНОРСТХУҮЗαορντικυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijsdhqwbkmhtABESIJKMHOPCTXYY3aopvtikuxABEZHIKMNOPTYX",
)
"""Cyrillic and Greek letters that look like Latin ones; the pairs that Unicode's TR39 calls confusable."""

LAST_LATIN = "\u036f"
"""Up to here, and among the signs from U+2000 on, is nothing Greek or Cyrillic."""

MIXED = re2.compile(r"[\p{Latin}][\p{Cyrillic}\p{Greek}]|[\p{Cyrillic}\p{Greek}][\p{Latin}]", options())


@dataclass(frozen=True)
class Places:
    """Where characters of a form come from: from each of `starts` on one after the other, the first from `origins`."""

    starts: tuple[int, ...]
    origins: tuple[int, ...]

    def of(self, index: int) -> int:
        """The place in the text of a character of the form."""
        run = bisect_right(self.starts, index) - 1
        return self.origins[run] + index - self.starts[run]


@dataclass(slots=True)
class Form:
    """A form of a text; it prints without it. `places`: where its characters come from; None: where they stand.

    `piece`: the encoded piece that it was decoded from.
    """

    text: str = field(repr=False)
    places: Places | None = field(default=None, repr=False)
    piece: tuple[int, int] | None = None

    def back(self, finding: Finding) -> Finding:
        """The finding, at its place in the text."""
        if self.piece is not None:
            return finding._replace(start=self.piece[0], end=self.piece[1])
        if self.places is None:
            return finding
        return finding._replace(start=self.places.of(finding.start), end=self.places.of(finding.end - 1) + 1)


def forms(text: str) -> list[Form]:
    """All forms that differ from each other, the text itself first."""
    text = Text(text)
    found = [Form(text)]
    if not text.isascii():
        beyond = once(text, beyond_ascii)
        if (simple := plain(text, beyond)) != text:
            found.append(Form(Text(simple)))
        if (other := folded(text, beyond)).text != simple:
            found.append(Form(Text(other.text), other.places))
    found += _decoded(text)
    return found


def visible(text: str) -> str:
    """The text without invisible characters; tag characters as the ASCII that they copy."""
    return text if text.isascii() else "".join(_seen(character) for character in text)


def folded(text: str, beyond: set[str] | None = None) -> Form:
    """Without invisible characters, in NFKC, look-alikes of Latin letters in mixed words as these.

    Single characters are replaced at once; only those that become none or several move what follows. `beyond` are
    the text's characters beyond ASCII, when they are known.
    """
    beyond = beyond_ascii(text) if beyond is None else beyond
    mixed = (
        any(one > LAST_LATIN and not "\u2000" <= one <= "\u20ff" for one in beyond) and MIXED.search(text) is not None
    )
    seen = {one: _FOLDS[one].translate(LOOK_ALIKES) if mixed else _FOLDS[one] for one in beyond}
    folds = {one: fold for one, fold in seen.items() if fold != one}
    moving = {one: fold for one, fold in folds.items() if len(fold) != 1}
    simple = replaced(text, {one: fold for one, fold in folds.items() if one not in moving})
    return _moved(simple, moving) if moving else Form(simple)


def _moved(text: str, folds: Mapping[str, str]) -> Form:
    """The text with characters replaced by none or by several."""
    pieces: list[str] = []
    starts, origins, start, length = [0], [0], 0, 0
    for place in sorted(place for one in folds for place in _places_of(text, one)):
        fold = folds[text[place]]
        pieces += (text[start:place], fold)
        length += place - start
        for _ in fold:
            starts.append(length)
            origins.append(place)
            length += 1
        start = place + 1
        starts.append(length)
        origins.append(start)
    return Form("".join([*pieces, text[start:]]), Places(tuple(starts), tuple(origins)))


def _places_of(text: str, character: str) -> Iterator[int]:
    place = text.find(character)
    while place >= 0:
        yield place
        place = text.find(character, place + 1)


class _Folds(dict[str, str]):
    """From a character beyond ASCII to what it becomes, filled as characters are met."""

    def __missing__(self, character: str) -> str:
        self[character] = result = plain(unicodedata.normalize("NFKC", _seen(character)))
        return result


_FOLDS = _Folds()


def _seen(character: str) -> str:
    code = ord(character)
    if code in TAGS:
        return chr(code - 0xE0000)
    return "" if code in INVISIBLE else character


def _decoded(text: str) -> Iterator[Form]:
    left = MOST_DECODED
    for start, end in islice(spans(ENCODED, text), MOST_PIECES):
        if left <= 0:
            return
        said = text[start:end][: left * 2]
        hexadecimal = HEXADECIMAL.fullmatch(text, start, end) is not None
        decoded = next(filter(None, map(_readable, _bytes_of(said, hexadecimal=hexadecimal))), None)
        if decoded:
            left -= len(decoded)
            yield Form(decoded, piece=(start, end))


def _bytes_of(said: str, *, hexadecimal: bool) -> Iterator[bytes]:
    """What a piece may stand for; a stream's window may have cut the beginning of a base64 group off."""
    if said[0] == "%":
        yield urllib.parse.unquote_to_bytes(said)
        return
    if hexadecimal:
        yield bytes.fromhex(said[: len(said) // 2 * 2])
    letters = said.rstrip("=").replace("-", "+").replace("_", "/")
    for offset in range(BASE64_GROUP):
        group = letters[offset:]
        group = group[: len(group) - (len(group) % BASE64_GROUP == 1)]
        try:
            yield base64.b64decode(group + "=" * (-len(group) % BASE64_GROUP))
        except (binascii.Error, ValueError):
            continue


def _readable(data: bytes) -> str | None:
    """The bytes as text, if they are one; a cut character at either end is left out."""
    if len(data) - len(data.translate(None, CONTROLS)) > len(data) * (1 - PRINTABLE):
        return None  # most of what is none is told by its control characters already
    text = data.decode("utf-8", "ignore")
    if len(text) < LEAST_DECODED or len(text.encode()) < len(data) * PRINTABLE:
        return None
    printable = sum(character.isprintable() or character.isspace() for character in text)
    return text if printable >= len(text) * PRINTABLE else None
