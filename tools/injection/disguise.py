"""Ways in which the tuning family hides a text: each takes a text and gives another that a person still reads."""

from __future__ import annotations

import base64
import codecs
import random
from collections.abc import Callable

LEET = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7", "l": "1"}
LOOKALIKES = {"a": "а", "c": "с", "e": "е", "i": "і", "o": "о", "p": "р", "s": "ѕ", "x": "х", "y": "у"}
UNSEEN = "\u200b\u200c\u2060\ufeff"

Disguise = Callable[[str, random.Random], str]


def leet(text: str, chance: random.Random) -> str:
    """Digits for some letters."""
    return "".join(chance.choice(LEET[c.lower()]) if c.lower() in LEET and chance.random() < 0.6 else c for c in text)


def lookalikes(text: str, chance: random.Random) -> str:
    """Cyrillic for some Latin letters."""
    return "".join(LOOKALIKES[c] if c in LOOKALIKES and chance.random() < 0.5 else c for c in text)


def spaced(text: str, chance: random.Random) -> str:
    """A sign between all letters."""
    sign = chance.choice(" .-*_")
    return (sign * 2 if sign == " " else " ").join(sign.join(word) for word in text.split())


def unseen(text: str, chance: random.Random) -> str:
    """Invisible characters inside words."""
    return "".join(c + chance.choice(UNSEEN) if c.isalpha() and chance.random() < 0.3 else c for c in text)


def capitals(text: str, chance: random.Random) -> str:
    """Large letters anywhere, or everywhere."""
    everywhere = chance.random() < 0.5
    return "".join(c.upper() if everywhere or chance.random() < 0.4 else c.lower() for c in text)


def typos(text: str, chance: random.Random) -> str:
    """Letters swapped, lost and doubled."""
    letters = list(text)
    for place in range(len(letters) - 1):
        if letters[place].isalpha() and letters[place + 1].isalpha() and chance.random() < 0.06:
            way = chance.randrange(3)
            if way == 0:
                letters[place], letters[place + 1] = letters[place + 1], letters[place]
            else:
                letters[place] = "" if way == 1 else letters[place] * 2
    return "".join(letters)


def glued(text: str, _chance: random.Random) -> str:
    """No spaces."""
    return "".join(text.split())


def in_base64(text: str, _chance: random.Random) -> str:
    """Base64 of UTF-8."""
    return base64.b64encode(text.encode()).decode()


def in_hexadecimal(text: str, _chance: random.Random) -> str:
    """Hexadecimal digits of UTF-8."""
    return text.encode().hex()


def rotated(text: str, _chance: random.Random) -> str:
    """Each Latin letter the 13th after it."""
    return codecs.encode(text, "rot13")


DISGUISES: dict[str, Disguise] = {
    "leet": leet,
    "lookalikes": lookalikes,
    "spaced": spaced,
    "unseen": unseen,
    "capitals": capitals,
    "typos": typos,
    "glued": glued,
}
"""Those that keep the text's words, for the classifier to see; encodings are undone before it."""
