"""Addresses on networks: e-mail, IP, MAC."""

from __future__ import annotations

import ipaddress

from llmops_sidecars.guard.rules.scan import ESCAPES, LETTERS, ends_word, starts_word

EMAIL = (
    rf"[0-9_{LETTERS}](?:[0-9_.%+'&\-{LETTERS}]*[0-9_+\-{LETTERS}])?"
    rf"@(?:[0-9{LETTERS}](?:[0-9\-{LETTERS}]*[0-9{LETTERS}])?\.)+(?:xn--[0-9A-Za-z\-]+|[{LETTERS}]{{2,63}})"
)

DOTTED = r"\d+\.\d+\.\d+\.\d+"
IP = rf"{DOTTED}|[0-9A-Fa-f]{{0,4}}:[0-9A-Fa-f]{{0,4}}:(?:[0-9A-Fa-f:]*:{DOTTED}|[0-9A-Fa-f:]*)"

MAC = r"[0-9A-Fa-f]{2}(?:[:\-][0-9A-Fa-f]{2}){5,}|\b[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\b"
"""The whole chain of groups: the fingerprint of a key is a longer one."""

MAC_SIGNS = str.maketrans("", "", ":-.")
MAC_DIGITS = frozenset((12, 16))
"""IEEE 802: EUI-48 and EUI-64."""

LEAST_GROUPS = 3
"""Of an IPv6 address that begins with a short group: `1::2` is rather a slice in a program."""

FULL_GROUP = 4


def emails(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The candidate, without the letter of an escaped line break before it, as JSON inside a text has them."""
    escaped = text[start] in ESCAPES and text[start + 1] != "@" and text[max(start - 1, 0) : start] == "\\"
    return [(start + escaped, end)]


def ips(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """A valid address of version 4 or 6 that is not a part of a longer number or name."""
    said = text[start:end]
    if said.endswith(":") and not said.endswith("::"):
        said = said[:-1]
    end = start + len(said)
    if not starts_word(text, start) or not ends_word(text, end) or _goes_on(text, start, end):
        return []
    try:
        address = ipaddress.ip_address(said)
    except ValueError:
        return []
    return [(start, end)] if address.version == 4 or _is_specific(said) else []  # noqa: PLR2004 - IPv4


def macs(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """A chain of the right length, with one kind of sign between its groups, that is somebody's."""
    said = text[start:end]
    digits = said.translate(MAC_SIGNS)
    told = len(set(digits)) > 1 and (not digits.isdigit() or ":" in said)
    whole = len(digits) in MAC_DIGITS and len(set(said) & set(":-.")) == 1
    return [(start, end)] if told and whole and starts_word(text, start) and ends_word(text, end) else []


def _goes_on(text: str, start: int, end: int) -> bool:
    """Whether points tie it to more numbers, as in versions."""
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    return (before[1:] == "." and before[0].isdigit()) or (after[:1] == "." and after[1:].isdigit())


def _is_specific(said: str) -> bool:
    groups = [group for group in said.split(":") if group]
    return len(groups) >= LEAST_GROUPS or (len(groups) > 1 and len(groups[0]) == FULL_GROUP)
