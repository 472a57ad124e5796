"""In-flight batching, one iteration at a time, as TensorRT-LLM does it.

    add -> waiting -> reading its prompt -> writing -> finished: stop, length or cancelled
              |              |                 |
              +--------------+-----------------+----> failed: an error, or its client has left

A waiting request enters when a slot is free and the KV cache has blocks for its prompt and its longest answer; it keeps
them until it ends, and nobody overtakes. An iteration has a budget of tokens: who writes takes one, prompts share the
rest, so that a long prompt is read over several iterations. Nothing here knows threads, Triton or the clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from cpu_llm import words
from cpu_llm.faults import Faults
from cpu_llm.ngram import Piece
from cpu_llm.settings import Engine


class RequestRefusedError(ValueError):
    """The request cannot be served; the message is for the client."""


@dataclass(frozen=True)
class Limits:
    """Where an answer ends if it does not end by itself."""

    max_tokens: int
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Times:
    """When something happened to a request, in seconds of a monotonic clock; None for not yet."""

    arrival: float
    scheduled: float | None = None
    first_token: float | None = None
    last_token: float | None = None


@dataclass(frozen=True)
class Answer:
    """All that a request has been answered so far; `reason` is None before the end.

    `pieces` are those written so far, the last of which may stand only in part in the text: up to a stop word.
    """

    text: str
    logprob: float
    reason: str | None
    stop_word: str | None
    blocks: int
    times: Times
    prompt_tokens: int = 0
    pieces: Sequence[Piece] = ()


class Client(Protocol):
    """Who asked, and is told."""

    def gone(self) -> bool:
        """Whether the client has cancelled or left."""

    def update(self, answer: Answer) -> None:
        """Tell what there is so far; only streaming requests are told."""

    def finish(self, answer: Answer) -> None:
        """Tell the whole answer; nothing comes after it."""

    def fail(self, message: str, *, cancelled: bool) -> None:
        """Tell that there will be no answer; nothing comes after it."""


@dataclass(frozen=True)
class Load:
    """What the engine is doing, in requests, tokens and blocks."""

    iteration: int
    waiting: int
    reading: int
    running: int
    slots: int
    unread_tokens: int
    used_blocks: int
    blocks: int
    block_tokens: int


@dataclass(eq=False)
class Job:
    """One request on its way. `pieces` writes its answer; `prompt_tokens` is how much there is to read before."""

    id: str
    client: Client
    pieces: Iterator[Piece]
    prompt_tokens: int
    limits: Limits
    streaming: bool
    faults: Faults
    times: Times
    raw: str = ""
    text: str = ""
    logprob: float = 0.0
    stop_word: str | None = None
    read: int = 0
    written: list[Piece] = field(default_factory=list)
    blocks: int = 0
    stopped: bool = False

    @property
    def reading(self) -> bool:
        """Whether a part of the prompt is still to be read."""
        return self.read < self.prompt_tokens

    def answer(self, reason: str | None) -> Answer:
        """What is there now, as a value."""
        return Answer(
            self.text,
            self.logprob,
            reason,
            self.stop_word,
            self.blocks,
            self.times,
            self.prompt_tokens,
            self.written,
        )


class Batch:
    """The requests of one engine. `now` is always in seconds of a monotonic clock."""

    def __init__(self, sizes: Engine, cancel_seconds: float) -> None:
        self._sizes, self._cancel_seconds = sizes, cancel_seconds
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._iteration = 0
        self._next_look = 0.0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self._waiting or self._running)

    def add(self, job: Job) -> None:
        """Queue a request that `admissible` has let pass."""
        longest = min(job.prompt_tokens + job.limits.max_tokens, self._sizes.sequence_tokens)
        job.blocks = self._sizes.blocks_for(longest)
        self._waiting.append(job)

    def stop(self, request_id: str) -> None:
        """End the requests of this id at the next look, with what they have so far as their answer."""
        for job in (*self._waiting, *self._running):
            job.stopped = job.stopped or job.id == request_id

    def step(self, now: float) -> int:
        """One iteration; returns how many tokens it read and wrote.

        Raises:
            ModelCrashedError: a request's fault says so.
            EngineFrozenError: a request's fault says so.
        """
        self._iteration += 1
        if now >= self._next_look:
            self._next_look = now + self._cancel_seconds
            self._drop()
        self._admit(now)
        left = self._sizes.iteration_tokens
        for job in sorted(self._running, key=lambda job: job.reading):
            left -= self._advance(job, left, now)
        return self._sizes.iteration_tokens - left

    def load(self) -> Load:
        """The numbers of this moment."""
        reading = [job for job in self._running if job.reading]
        return Load(
            iteration=self._iteration,
            waiting=len(self._waiting),
            reading=len(reading),
            running=len(self._running),
            slots=self._sizes.slots,
            unread_tokens=sum(job.prompt_tokens - job.read for job in reading),
            used_blocks=sum(job.blocks for job in self._running),
            blocks=self._sizes.blocks,
            block_tokens=self._sizes.block_tokens,
        )

    def _drop(self) -> None:
        for job in (*self._running, *self._waiting):
            if job.client.gone():
                self._leave(job)
                job.client.fail("Request cancelled by client", cancelled=True)
            elif job.stopped:
                self._finish(job, "cancelled")

    def _admit(self, now: float) -> None:
        free = self._sizes.blocks - sum(job.blocks for job in self._running)
        while self._waiting and len(self._running) < self._sizes.slots and self._waiting[0].blocks <= free:
            job = self._waiting.popleft()
            job.times = replace(job.times, scheduled=now)
            free -= job.blocks
            self._running.append(job)

    def _advance(self, job: Job, budget: int, now: float) -> int:
        """Move one request on with at most so many tokens; returns how many it took."""
        held = job.faults.holds(len(job.written), now - (job.times.scheduled or 0.0))
        if job.faults.fails(len(job.written)):
            self._leave(job)
            job.client.fail(f"injected error after {len(job.written)} tokens", cancelled=False)
            return 0
        if held or budget <= 0:
            return 0
        read = min(budget, job.prompt_tokens - job.read)
        job.read += read
        if not job.reading:
            self._write(job, now)
        return max(read, 1)

    def _write(self, job: Job, now: float) -> None:
        piece = next(job.pieces, None)
        job.times = replace(job.times, first_token=job.times.first_token or now, last_token=now)
        if piece is None:
            self._finish(job, "stop")
            return
        job.written.append(piece)
        job.logprob += piece.logprob
        job.raw += piece.text
        job.text, job.stop_word = _until_stop_word(job)
        if job.stop_word is not None:
            self._finish(job, "stop")
        elif len(job.written) >= job.limits.max_tokens or job.read + len(job.written) >= self._sizes.sequence_tokens:
            self._finish(job, "length")
        elif job.streaming:
            job.client.update(job.answer(None))

    def _finish(self, job: Job, reason: str) -> None:
        self._leave(job)
        job.client.finish(job.answer(reason))

    def _leave(self, job: Job) -> None:
        if job in self._running:
            self._running.remove(job)
        else:
            self._waiting.remove(job)


def admissible(sizes: Engine, prompt_tokens: int, limits: Limits) -> None:
    """Refuse a request that could never run.

    Raises:
        RequestRefusedError: it is longer than a sequence or than the whole KV cache.
    """
    if prompt_tokens >= sizes.sequence_tokens:
        raise RequestRefusedError(f"the prompt has {prompt_tokens} tokens, max_seq_len is {sizes.sequence_tokens}")
    blocks = sizes.blocks_for(min(prompt_tokens + limits.max_tokens, sizes.sequence_tokens))
    if blocks > sizes.blocks:
        raise RequestRefusedError(f"the request needs {blocks} KV cache blocks, there are {sizes.blocks}")


def _until_stop_word(job: Job) -> tuple[str, str | None]:
    """The text with the piece just written, cut before the first stop word in it, and that stop word.

    What a stream has told is not taken back, so it may end in the beginning of a stop word; TensorRT-LLM is the same.
    """
    text = words.readable(job.raw)
    found = [(place, word) for word in job.limits.stop if (place := text.find(word)) >= 0]
    if not found:
        return text, None
    place, word = min(found)
    return text[: max(place, len(job.text) if job.streaming else 0)], word
