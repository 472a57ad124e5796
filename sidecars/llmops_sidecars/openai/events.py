"""Server-sent events: writing them from templates, and cutting a stream of bytes into them.

The format is the HTML standard's (section 9.2.6, "Interpreting an event stream"), of which only `data` counts here.
"""

from __future__ import annotations

import secrets

import msgspec
from msgspec import UNSET, UnsetType

from llmops_sidecars.openai.answers import Chunk, ChunkChoice, Delta, Usage, encode_answer
from llmops_sidecars.openai.errors import ApiError

DONE_DATA = b"[DONE]"
"""The data of the last event of a whole stream."""

DONE = b"data: [DONE]\n\n"
"""The last event of a whole stream; never sent after an error."""

MAX_EVENT_BYTES = 1024 * 1024

OBFUSCATED_BYTES = 64
"""Sizes of obfuscated events are multiples of this, and what their field takes."""

STREAM_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
"""What keeps proxies from turning a stream into one burst."""

PLACEHOLDER = secrets.token_hex(16)
"""Stands for a text in an event that is a template; nothing else in the event can be it by chance."""

_ENCODED_PLACEHOLDER = msgspec.json.encode(PLACEHOLDER)


class EventTooLargeError(Exception):
    """The stream has an event larger than allowed; nothing after it can be read."""


def encode_event(data: bytes, name: bytes = b"") -> bytes:
    """One event; `data` must have no line break, as JSON from msgspec never has."""
    return b"event: " + name + b"\ndata: " + data + b"\n\n" if name else b"data: " + data + b"\n\n"


def obfuscation(size: int) -> str:
    """Random letters that bring an event of `size` bytes up to a size that many have: it says less of its text."""
    return secrets.token_hex(OBFUSCATED_BYTES // 2)[: OBFUSCATED_BYTES - size % OBFUSCATED_BYTES]


def error_event(error: ApiError) -> bytes:
    """The event that ends a stream with an error."""
    return encode_event(error.encode())


class EventSplitter:
    """Cuts bytes, however they arrive, into the data of events.

    Comments and other fields are dropped. Lines may end in LF, CR LF or CR, and be cut anywhere: inside a character,
    between CR and LF. Several `data` lines of one event are joined by LF.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._buffer = bytearray()
        self._scanned = 0
        self._after_return = False

    @property
    def pending(self) -> bool:
        """Whether an event has begun and not ended: at the end of a stream, that it was cut."""
        return bool(self._buffer.strip())

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that are now whole; raises EventTooLargeError."""
        if not data:
            return []
        if self._after_return:
            data = data.removeprefix(b"\n")
        self._after_return = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not self._buffer and len(data) <= self._max and data.startswith(b"data: ") and data.endswith(b"\n\n"):
            events = data[6:-2].split(b"\n\ndata: ")
            if data.count(b"\n") == 2 * len(events):  # none but those that end events: each is one line of data
                return events
        self._buffer += data
        return self._take()

    def _take(self) -> list[bytes]:
        events, start = [], 0
        while (end := self._buffer.find(b"\n\n", max(start, self._scanned))) >= 0:
            self._require_size(end - start)
            events += _data(bytes(self._buffer[start:end]))
            start = end + 2
            self._scanned = start
        del self._buffer[:start]
        self._scanned = max(len(self._buffer) - 1, 0)
        self._require_size(len(self._buffer))
        return events

    def _require_size(self, size: int) -> None:
        if size > self._max:
            raise EventTooLargeError(f"an event is larger than {self._max} bytes")


class TextEvent:
    """An event of which only one text changes: the rest is encoded once (a tenth of the time)."""

    def __init__(self, event: bytes) -> None:
        """Take one in which `PLACEHOLDER` stands for the text."""
        self._before, _, self._after = event.partition(_ENCODED_PLACEHOLDER)
        self._encoder = msgspec.json.Encoder()

    def __call__(self, text: str) -> bytes:
        """The event with a text in it."""
        return self._before + self._encoder.encode(text) + self._after


class ChunkWriter:
    """Writes the chunks of one answer.

    `usage`: every chunk says that it has none yet, as the specification wants it where the usage is asked for.
    """

    def __init__(self, id: str, created: int, model: str, *, usage: bool = False) -> None:  # noqa: A002 - the API's word
        self._empty = Chunk(id, created, model, usage=None if usage else UNSET)
        self.text = TextEvent(self._event(Delta(content=PLACEHOLDER), None))
        """An event with more text of the first choice."""

    def role(self, index: int = 0) -> bytes:
        """The first event of a choice."""
        return self.choice(ChunkChoice(index, Delta(role="assistant", content="")))

    def delta(self, delta: Delta) -> bytes:
        """An event with anything else that the first choice may grow by."""
        return self._event(delta, None)

    def finish(self, reason: str) -> bytes:
        """The event that says why the first choice ends."""
        return self._event(Delta(), reason)

    def choice(self, choice: ChunkChoice, obfuscation: str | UnsetType = UNSET) -> bytes:
        """An event for one of several choices, or one with more than its text."""
        chunk = msgspec.structs.replace(self._empty, choices=(choice,), obfuscation=obfuscation)
        return encode_event(encode_answer(chunk))

    def usage(self, usage: Usage) -> bytes:
        """The event with the usage; it has no choices."""
        return encode_event(encode_answer(msgspec.structs.replace(self._empty, usage=usage)))

    def _event(self, delta: Delta, finish_reason: str | None) -> bytes:
        return self.choice(ChunkChoice(delta=delta, finish_reason=finish_reason))


def _data(block: bytes) -> list[bytes]:
    if b"\n" not in block and block.startswith(b"data: "):
        return [block[6:]]
    lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
    return [b"\n".join(lines)] if lines else []
