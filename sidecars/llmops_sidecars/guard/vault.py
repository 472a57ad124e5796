"""What was masked in a request and comes back in its answer: placeholders that nobody can guess, and their values.

One vault belongs to one request; nothing of it is written anywhere, and it prints nothing.
"""

from __future__ import annotations

import re
import secrets
from bisect import bisect_left, insort
from collections.abc import Callable

from llmops_sidecars.guard.rules.finding import Finding

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
LETTERS = 12
"""31 ** 12: as many as 59 random bits."""

LONGEST = 64
"""Characters of the longest placeholder: label, underscore, letters."""

_PLACEHOLDER = re.compile(rf"\[[^\[\]]{{1,{LONGEST - LETTERS - 3}}}_[{ALPHABET}]{{{LETTERS}}}\]")


class Vault:
    """Placeholders of one request."""

    def __init__(self) -> None:
        """Start empty."""
        self._placeholders: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._known: list[str] = []

    def __bool__(self) -> bool:
        """A vault counts as there, also while it is empty."""
        return True

    @property
    def empty(self) -> bool:
        """Whether nothing will ever come back."""
        return not self._values

    def placeholder(self, finding: Finding, text: str) -> str:
        """What stands for a finding in a text: the same for the same value, so that the model can tell two apart."""
        value = text[finding.start : finding.end]
        known = self._placeholders.get((finding.label, value))
        if known is None:
            letters = "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))
            known = f"{finding.label.removesuffix(']')[: LONGEST - LETTERS - 2]}_{letters}]"
            self._placeholders[finding.label, value] = known
            self._values[known] = value
            insort(self._known, known)
        return known

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where its placeholders stand in a text."""
        if self.empty or "[" not in text:
            return []
        return [found.span() for found in _PLACEHOLDER.finditer(text) if found[0] in self._values]

    def restored(self, text: str, encode: Callable[[str], str] = str) -> str:
        """The text with values in the place of their placeholders; `encode` fits a value to where it is put."""
        if "[" not in text:
            return text

        def value(found: re.Match[str]) -> str:
            known = self._values.get(found[0])
            return found[0] if known is None else encode(known)

        return _PLACEHOLDER.sub(value, text)

    def pending(self, text: str) -> int:
        """How many characters at the text's end may be the beginning of a placeholder."""
        start = text.rfind("[", max(len(text) - LONGEST, 0))
        if start < 0:
            return 0
        tail = text[start:]
        place = bisect_left(self._known, tail)
        following = self._known[place : place + 1]
        return len(tail) if any(known.startswith(tail) and known != tail for known in following) else 0


class Restorer:
    """One text of an answer, on whose stream placeholders become values again, however they are cut."""

    def __init__(self, vault: Vault, encode: Callable[[str], str] = str) -> None:
        """Start with nothing held."""
        self._vault, self._encode, self._held = vault, encode, ""

    @property
    def holds(self) -> bool:
        """Whether something waits that may be the beginning of a placeholder."""
        return bool(self._held)

    def push(self, text: str) -> str:
        """More text; what may be the beginning of a placeholder waits."""
        text = self._held + text
        keep = len(text) - self._vault.pending(text)
        self._held = text[keep:]
        return self._vault.restored(text[:keep], self._encode)

    def flush(self) -> str:
        """The text has ended."""
        held, self._held = self._held, ""
        return held
