"""What stands behind a word for a secret: passwords, and keys that look random.

    password = hunter2x9       my password is hunter2x9       "api_key": "q8Zf3…"       Authorization: Bearer q8Zf3…

A value is one word. It is not looked at what it says when it is filled in later (`${PASSWORD}`), looked up
(`os.environ["TOKEN"]`, `config.token`), or told to be something else (a hash, a checksum).
"""

from __future__ import annotations

import math
import re
from collections import Counter

PASSWORDS = (
    r"passw(?:or)?d|passwort|kennwort|passphrase|passcode|pwd|contraseña|mot de passe|senha|wachtwoord|hasło|lösenord"
    r"|adgangskode|passord|heslo|parola|şifre|пароль|密码|密碼|口令|パスワード|비밀번호"
)
KEYS = (
    r"(?:api|access|auth|secret|private|client|account|encryption|signing|shared|master|app|application|service|license"
    r"|storage|subscription|consumer|deploy|webhook)[ _\-.]?(?:key|token|secret|pass)|secret|token|credential"
)
SEPARATOR = (
    r"(?:s|[_\-.\d][\w\-.]{0,24})?[\"'`\]]{0,2}"
    r"(?:\s{0,3}(?::=|=>|==?|:|：)\s{0,3}|\s{1,3}(?:is|was|ist|lautet|es|est|é|è|jest|är|er|это)[ :]{1,2}"
    r"|(?:是|为|は)[ :：]{0,2})"
    r"[\"'`]{0,3}"
)
PASSWORD = rf"(?i)(?:{PASSWORDS}){SEPARATOR}"
KEY = rf"(?i)(?:{KEYS}){SEPARATOR}|\b(?:bearer|basic) {{1,3}}|\bauthorization[\"']?\s?[:=]\s?[\"']?token {{1,3}}"
"""A word for a secret, and all up to its value."""

VALUE = re.compile(r"[^\s\"'`,;<>(){}\[\]]{1,512}")
LEAST_PASSWORD, LEAST_KEY = 6, 16

ALPHABETS = ((re.compile(r"[0-9a-fA-F]+"), 4.0), (re.compile(r"[0-9a-zA-Z+/=_\-]+"), 6.0), (re.compile(r"[!-~]+"), 6.5))
"""From the smallest: the bits that one character of a random value has at most."""

RANDOM = 0.72
"""The share of the entropy that random values of their length have, from which one counts as random."""

FILLED_IN = re.compile(r"^\$|^%(?:\w+%|[a-z]$|[({])|^[&*@#]\w+$|\{\{|\$\{|x{4}|X{4}|\*{3}|\.{3}|^(?:0+|1+)$|…")
LOOKED_UP = re.compile(
    r"^[A-Za-z_]+(?:\.[A-Za-z_]+)+$|environ|getenv|^(?:self|this|config|settings|process|args|vars?)\.|://"
)
PATH = re.compile(r"^(?:/|~/|\.{1,2}/)")
WORD = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}(?![a-z])|\d{1,4}|[^A-Za-z0-9]")
"""What names are made of, in any style."""

SWITCH = re.compile(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])")
NAMED, SWITCHES = 0.1, 0.125
"""Names have at most so many characters that belong to no word, and so many changes between letters and digits, each
as a share of their length."""

NO_VALUES = re.compile(
    r"(?i)your|change.?me|example|placeholder|redacted|removed|hidden|dummy|sample|insert|replace|required|undefined|null|none"
    r"|true|false|empty|string|optional|default|password|passwort|secret|token|key"
)
"""What a value is that stands for another."""

HASHES = re.compile(
    r"(?i)sha\d|md5|hash|digest|checksum|fingerprint|integrity|_id\b|_name\b|_url\b|_file\b|_path\b|_type\b"
)
"""What tells that a word for a secret is about something else."""

UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def password(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The value behind a word for passwords."""
    said, place = _value(text, end)
    if len(said) < LEAST_PASSWORD or not _is_told(text, start, end, said, place):
        return []
    quoted = text[end - 1] in "\"'`" and text[place : place + 1] == text[end - 1]
    return [(end, place)] if _is_password(said, quoted=quoted) else []


def key(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The value behind a word for keys, when it looks random."""
    said, place = _value(text, end)
    if len(said) < LEAST_KEY or not _is_told(text, start, end, said, place):
        return []
    return [(end, place)] if is_random(said) else []


def is_random(said: str) -> bool:
    """Whether the characters of a value are as different as those of a random one, and no names are in it."""
    if UUID.fullmatch(said):
        return True
    bits = next((bits for alphabet, bits in ALPHABETS if alphabet.fullmatch(said)), None)
    if bits is None or said.isdigit() or is_name(said):
        return False
    return entropy(said) >= RANDOM * min(bits, math.log2(len(said)))


def is_name(said: str) -> bool:
    """Whether a value is made of words and numbers, as names are."""
    words = sum(map(len, WORD.findall(said)))
    return len(said) - words <= NAMED * len(said) and len(SWITCH.findall(said)) <= SWITCHES * len(said)


def entropy(said: str) -> float:
    """Bits a character, as C. Shannon measures it over the characters that there are."""
    return -sum(count / len(said) * math.log2(count / len(said)) for count in Counter(said).values())


def _value(text: str, start: int) -> tuple[str, int]:
    """The word that begins at a place, without the signs that end a sentence; and its end."""
    found = VALUE.match(text, start)
    said = found[0].rstrip(".:!?") if found else ""
    return said, start + len(said)


def _is_told(text: str, start: int, end: int, said: str, place: int) -> bool:
    """Whether a value stands there itself, neither filled in nor looked up, and the word is about nothing else."""
    looked_up = LOOKED_UP.search(said) or text[place : place + 1] in {"(", "["}
    return not (looked_up or FILLED_IN.search(said) or HASHES.search(text[start:end]))


def _is_password(said: str, *, quoted: bool) -> bool:
    """Whether people make such passwords: of several kinds of characters, unless it is quoted."""
    letters, digits = any(map(str.isalpha, said)), any(map(str.isdigit, said))
    signs = any(not character.isalnum() and character not in "_-./:=" for character in said)
    if PATH.search(said) or NO_VALUES.fullmatch(said) or (NO_VALUES.search(said) and not digits):
        return False
    return (letters and (digits or signs)) or quoted or not (said.isdigit() or is_name(said))
