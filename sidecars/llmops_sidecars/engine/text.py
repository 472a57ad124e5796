"""Text of engines, made fit to be streamed: what is new in it, and where a stop word may begin."""

from __future__ import annotations

from collections.abc import Iterable

from llmops_sidecars.openai.errors import engine_failed

REPLACEMENT = "\ufffd"
"""What a detokenizer writes for the bytes of an unfinished character; the next token may turn it into another one."""


class CumulativeText:
    """Turns texts that repeat all so far into what each one adds."""

    def __init__(self) -> None:
        self._seen = self._last = ""

    def rest(self) -> str:
        """What the last text still holds back, when it turns out to have been the last."""
        return self.added(self._last, last=True)

    def added(self, text: str, *, last: bool = False) -> str:
        """What `text` adds. An unfinished character at its end waits for the next one, if there is one.

        Raises ApiError (`engine_failed`) when the engine has changed what it had said before.
        """
        self._last = text
        settled = text if last else text.rstrip(REPLACEMENT)
        if not settled.startswith(self._seen):
            if self._seen.startswith(settled):
                return ""
            raise engine_failed("The model changed a text that it had already sent.")
        added = settled[len(self._seen) :]
        self._seen = settled
        return added


class StopWords:
    """Cuts a streamed text before the stop word that ends first, and holds back what may be the beginning of one.

    Triton's models compare whole texts, so the first tokens of a longer stop word have been sent when it is complete.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words = tuple(words)
        self._held = ""
        self.found = False
        """Whether a stop word has come: no text after it is let through."""

    def feed(self, text: str) -> str:
        """The text that may leave now."""
        if not self._words or self.found:
            return "" if self.found else text
        text = self._held + text
        matches = [(place + len(word), place) for word in self._words if (place := text.find(word)) >= 0]
        if matches:
            self.found, self._held = True, ""
            _, place = min(matches)
            return text[:place]
        keep = len(text) - max(_overlap(text, word) for word in self._words)
        self._held = text[keep:]
        return text[:keep]

    def finish(self, stop_word: str | None) -> str:
        """What was held back; nothing of it when it is the beginning of the stop word that the engine says it met."""
        held, self._held = self._held, ""
        if stop_word is None:
            return held
        return held[: len(held) - _overlap(held, stop_word)]


def _overlap(text: str, word: str) -> int:
    """How many characters at the end of the text are the beginning of the word."""
    for length in range(min(len(word) - 1, len(text)), 0, -1):
        if text.endswith(word[:length]):
            return length
    return 0
