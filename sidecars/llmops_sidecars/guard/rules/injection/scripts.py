"""Which thresholds a text is held to: by how long it is, and by its alphabet and language."""

from __future__ import annotations

from collections import Counter

from llmops_sidecars.guard.rules.injection.lexicon import lexicon

LENGTHS = (150, 600, 2500, 10000)
"""Characters at which the next bucket begins."""

GROUPS = ("english", "latin", "cyrillic", "arabic", "devanagari", "ideographs", "hangul", "other")
ENGLISH_SHARE = 0.25
"""Share of English words from which a Latin text counts as English."""

RANGES = (
    (0x0400, 0x0530, "cyrillic"),
    (0x0600, 0x0780, "arabic"),
    (0x0900, 0x0980, "devanagari"),
    (0x3040, 0x3100, "ideographs"),
    (0x3400, 0xA000, "ideographs"),
    (0xAC00, 0xD7B0, "hangul"),
)


def bucket_of(length: int) -> int:
    """The length's bucket, from 0."""
    return sum(length >= bound for bound in LENGTHS)


def group_of(words: list[str]) -> str:
    """The alphabet of most words, and for Latin whether they are English."""
    counted = Counter(_alphabet(word) for word in words if word[0].isalpha())
    if not counted:
        return "other"
    most = counted.most_common(1)[0][0]
    if most != "latin":
        return most
    plain = lexicon().english
    return "english" if sum(word in plain for word in words) >= ENGLISH_SHARE * counted["latin"] else "latin"


def _alphabet(word: str) -> str:
    code = ord(word[0])
    if code < 0x0250:  # noqa: PLR2004 - the end of Latin
        return "latin"
    return next((name for first, end, name in RANGES if first <= code < end), "other")
