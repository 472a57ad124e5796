"""Who answers a prompt: the language model, or the prompt itself when it asks to be repeated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from cpu_llm import words
from cpu_llm.ngram import NGramModel, Piece, documents
from cpu_llm.sampling import Sampling
from cpu_llm.settings import CpuModel, SettingsError

SUFFIX_CHARACTERS = 200


class Author:
    """Answers prompts as `cpu_model` says."""

    def __init__(self, settings: CpuModel) -> None:
        """Learn the corpus; raises SettingsError when there is none."""
        self._settings = settings
        self._model = NGramModel(_texts(settings), settings.order)

    def write(self, prompt: str, sampling: Sampling, dice: Random) -> Iterator[Piece]:
        """The answer to a prompt, word by word."""
        message = without_suffix(self._settings.chat_suffix, prompt)
        text = after_last(self._settings.echo_prefix, message)
        pieces = self._model.write(message, sampling, dice) if text is None else echo(text)
        return bytewise(pieces) if self._settings.byte_tokens else pieces


def without_suffix(suffix: re.Pattern[str], prompt: str) -> str:
    """A prompt without what its chat layout left at the end; only so much of the end is searched, to stay fast."""
    return prompt[:-SUFFIX_CHARACTERS] + suffix.sub("", prompt[-SUFFIX_CHARACTERS:])


def after_last(prefix: str, message: str) -> str | None:
    """What follows the last occurrence of a prefix; None where it does not occur, or is empty."""
    _, found, text = message.rpartition(prefix) if prefix else ("", "", "")
    return text if found else None


def echo(text: str) -> Iterator[Piece]:
    """The text itself, word by word, each as certain as can be."""
    return (Piece(word, 0.0, ((word, 0.0),)) for word in words.split(text))


def bytewise(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """A piece for each byte: tokenizers end tokens inside characters too. The first has the word's log-probability."""
    for piece in pieces:
        for number, byte in enumerate(piece.text.encode()):
            text = bytes([byte]).decode("ascii", "surrogateescape")
            logprob = 0.0 if number else piece.logprob
            yield Piece(text, logprob, ((text, logprob),))


def _texts(settings: CpuModel) -> list[str]:
    try:
        texts = documents(settings.corpus.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the corpus {settings.corpus} cannot be read: {error}") from error
    if not texts:
        raise SettingsError(f"the corpus {settings.corpus} has no text in it")
    return texts
