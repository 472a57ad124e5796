"""The action Hash: the same value gets the same twelve digits, by a key that only the guard has.

So a model can tell people apart and logs can be joined, and nobody without the key can find a value by trying.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from llmops_sidecars.contract import Action, PiiEntity
from llmops_sidecars.guard.rules.finding import Check, Find, Finding, Locate

DIGITS = 12
"""Hexadecimal: of a million values, two share a hash with a chance of one in 560."""

GROUPED = frozenset(
    (PiiEntity.CREDIT_CARD, PiiEntity.IBAN, PiiEntity.NATIONAL_ID, PiiEntity.MAC_ADDRESS, PiiEntity.DATE_OF_BIRTH)
)
"""Kinds whose values are the same however they are grouped."""


def hashed(check: Check, key: bytes) -> Check:
    """The check, with a hash in the label of each finding whose action is Hash."""
    bind = check.bind
    bound = None if bind is None else (lambda context: _hashing(bind(context), key))
    located = None if check.locate is None else _hashing_located(check.locate, key)
    return replace(check, find=_hashing(check.find, key), bind=bound, locate=located)


def digest(key: bytes, kind: str, value: str) -> str:
    """HMAC-SHA256 over the kind and the value as it is compared, its first digits."""
    message = f"{kind}\0{normalised(kind, value)}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:DIGITS]


def normalised(kind: str, value: str) -> str:
    """What two writings of one value share: case and spaces never count, in numbers no separators either."""
    said = " ".join(value.casefold().split())
    if kind == PiiEntity.PHONE:
        digits = "".join(filter(str.isdigit, said))
        return digits.removeprefix("00") if said.startswith("00") else digits
    return "".join(filter(str.isalnum, said)) if kind in GROUPED else said


def _hashing(find: Find, key: bytes) -> Find:
    return lambda text: _all_hashed(find(text), text, key)


def _hashing_located(locate: Locate, key: bytes) -> Locate:
    async def hashing(texts: Sequence[str]) -> list[tuple[Finding, ...]]:
        found = await locate(texts)
        return [tuple(_all_hashed(one, text, key)) for one, text in zip(found, texts, strict=True)]

    return hashing


def _all_hashed(found: Iterable[Finding], text: str, key: bytes) -> Iterator[Finding]:
    for one in found:
        yield _hashed(one, text, key) if one.action is Action.HASH else one


def _hashed(finding: Finding, text: str, key: bytes) -> Finding:
    value = digest(key, finding.kind, text[finding.start : finding.end])
    return finding._replace(label=f"{finding.label.removesuffix(']')}:{value}]")
