"""Responses of a generating model in Triton, and what they say of its answer."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from llmops_sidecars.engine.driver import Piece
from llmops_sidecars.engine.text import REPLACEMENT, CumulativeText
from llmops_sidecars.openai.answers import LikelyToken, TokenLogprob, Usage
from llmops_sidecars.openai.errors import engine_failed

_NO_VALUE = frozenset({"", "None"})
"""How "nothing yet" arrives: these outputs are text."""


class Response(Struct, frozen=True):
    """One response: the outputs that any of the interfaces has, or an error, which is a text."""

    text_output: str = ""
    finish_reason: str | None = None
    stop_reason: str | None = None
    logprobs: str | None = None
    num_input_tokens: int | None = None
    num_output_tokens: int | None = None
    error: str | None = None


class Answer:
    """Turns the responses of one generation into pieces.

    `cumulative`: each repeats the text so far. `told`: the last one says why the answer ends; otherwise its end is the
    end of the stream, and `most_tokens` decides whether it was cut. `alternatives` is how many of the likeliest tokens
    are wanted beside each token.
    """

    def __init__(self, *, cumulative: bool, told: bool, most_tokens: int, alternatives: int = 0) -> None:
        self._cumulative = CumulativeText() if cumulative else None
        self._told, self._most, self._alternatives = told, most_tokens, alternatives
        self._tokens = 0
        self._prompt_tokens: int | None = None

    def piece(self, response: Response) -> Piece:
        """The piece that a response adds; raises ApiError when the engine gave up."""
        reason = _finish_reason(response.finish_reason)
        text = response.text_output
        added = text if self._cumulative is None else self._cumulative.added(text, last=reason is not None)
        tokens = self._count(response, added)
        return Piece(
            added,
            tokens,
            reason,
            None if response.stop_reason in _NO_VALUE else response.stop_reason,
            usage=None if reason is None else self._usage(),
            logprobs=_logprobs(response.logprobs, self._alternatives) if response.logprobs else None,
        )

    def end(self) -> Piece | None:
        """The last piece, of a stream that ended whole; None when a reason should have come before: it was cut."""
        if self._told:
            return None
        reason = "length" if self._tokens >= self._most else "stop"
        rest = "" if self._cumulative is None else self._cumulative.rest()
        return Piece(rest, 0, reason, usage=self._usage())

    def _count(self, response: Response, added: str) -> int:
        """Tokens of a response: nearly always one where the model does not say, and none where there is no new text."""
        told = response.num_output_tokens
        tokens = told if told is not None else int(bool(added))
        self._tokens += tokens
        if response.num_input_tokens is not None:
            self._prompt_tokens = response.num_input_tokens
        return tokens

    def _usage(self) -> Usage | None:
        if self._prompt_tokens is None:
            return None
        return Usage(self._prompt_tokens, self._tokens, self._prompt_tokens + self._tokens)


class _Token(Struct, frozen=True):
    logprob: float
    decoded_token: str | None = None


_LOGPROBS = msgspec.json.Decoder(tuple[dict[str, _Token], ...] | None)


def _finish_reason(value: str | None) -> str | None:
    if value is None or value in _NO_VALUE:
        return None
    if value not in {"stop", "length"}:
        raise engine_failed("The model gave up on the answer before it was complete.")
    return value


def _logprobs(document: str, alternatives: int) -> tuple[TokenLogprob, ...] | None:
    """vLLM's: for each position the token that was taken, then the likeliest ones, by their ids."""
    try:
        positions = _LOGPROBS.decode(document) or ()
    except msgspec.DecodeError as error:
        raise engine_failed("The model's log probabilities have an unknown shape.") from error
    return tuple(_position(list(tokens.values()), alternatives) for tokens in positions if tokens) or None


def _position(tokens: list[_Token], alternatives: int) -> TokenLogprob:
    taken, ranked = tokens[0], sorted(tokens, key=lambda one: -one.logprob)
    text = taken.decoded_token or ""
    return TokenLogprob(text, taken.logprob, _bytes(text), tuple(_likely(one) for one in ranked[:alternatives]))


def _likely(token: _Token) -> LikelyToken:
    text = token.decoded_token or ""
    return LikelyToken(text, token.logprob, _bytes(text))


def _bytes(text: str) -> tuple[int, ...] | None:
    """A token's bytes; unknown for a part of a character, which the engine shows as U+FFFD."""
    return None if REPLACEMENT in text else tuple(text.encode())
