"""What the cache answers with: a flight as it comes, or an entry as the stream that it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import aclosing

from llmops_sidecars.cache.entry import Entry
from llmops_sidecars.cache.flight import Flight, Listener
from llmops_sidecars.openai.answers import Usage
from llmops_sidecars.openai.events import DONE, STREAM_HEADERS, ChunkWriter
from llmops_sidecars.proxy.asgi import Headers, StreamSender

OK = 200

REPLAY_CHARACTERS = 48
"""The size of a replayed answer's pieces, at most; they end between words where there are words."""

_PIECES = re.compile(rf"(?s).{{1,{REPLAY_CHARACTERS}}}(?!\S)|.{{1,{REPLAY_CHARACTERS}}}")


async def send_flight(
    sender: StreamSender,
    flight: Flight,
    listener: Listener,
    request_id: str,
    headers: Headers,
    ended: Callable[[], None],
) -> None:
    """Send a flight from its beginning. `ended` is called when it has ended well, and before the client hears of that.

    Raises the ApiError that the flight ended with; nothing has been sent when it failed before its first piece.
    """
    await flight.opened(listener)
    writer = ChunkWriter(answer_id(request_id), flight.created, flight.model)
    engine = ((b"x-llmops-engine", flight.engine.encode()),) if flight.engine else ()
    await sender.start(OK, (*STREAM_HEADERS, *headers, *engine))
    event = writer.role()
    async with aclosing(flight.pieces(listener)) as pieces:
        async for piece in pieces:
            await sender.write(event + (writer.text(piece) if isinstance(piece, str) else writer.delta(piece)))
            event = b""
    ended()
    await sender.end(event + _ending(writer, flight.finish_reason, flight.usage))


async def send_entry(sender: StreamSender, entry: Entry, request_id: str, headers: Headers) -> None:
    """Send a remembered answer."""
    await sender.start(OK, (*STREAM_HEADERS, *headers))
    await sender.end(b"".join(_replay(entry, request_id)))


def answer_id(request_id: str) -> str:
    """The id of a completion: its own for each request, also for a shared or remembered answer."""
    return f"chatcmpl-{request_id}"


def split_text(text: str) -> list[str]:
    """The text in pieces as a model might have written it: together they are the text."""
    return _PIECES.findall(text)


def _replay(entry: Entry, request_id: str) -> Iterator[bytes]:
    writer = ChunkWriter(answer_id(request_id), entry.created, entry.model)
    yield writer.role()
    for piece in split_text(entry.text):
        yield writer.text(piece)
    yield _ending(writer, entry.finish_reason, entry.usage)


def _ending(writer: ChunkWriter, finish_reason: str, usage: Usage | None) -> bytes:
    return writer.finish(finish_reason) + (writer.usage(usage) if usage is not None else b"") + DONE
