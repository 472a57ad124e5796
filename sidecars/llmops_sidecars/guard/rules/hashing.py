"""The action Hash: the same value gets the same twelve digits, by a key that only the guard has.

So a model can tell people apart and logs can be joined, and nobody without the key can find a value by trying.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import replace

from llmops_sidecars.contract import Action, PiiEntity
from llmops_sidecars.guard.rules.finding import Check, Find, Finding

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
    return replace(check, find=_hashing(check.find, key), bind=bound)


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
    def hashing(text: str) -> Iterator[Finding]:
        for one in find(text):
            yield _hashed(one, text, key) if one.action is Action.HASH else one

    return hashing


def _hashed(finding: Finding, text: str, key: bytes) -> Finding:
    value = digest(key, finding.kind, text[finding.start : finding.end])
    return finding._replace(label=f"{finding.label.removesuffix(']')}:{value}]")
