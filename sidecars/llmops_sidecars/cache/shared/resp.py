"""The words of Valkey and Redis (RESP 2): commands as bytes, replies from bytes that come in pieces."""

from __future__ import annotations

MOST_REPLY_BYTES = 2 * 1024 * 1024
"""A reply that says it is longer is not waited for: an entry has half of that at most."""

MOST_LINE_BYTES, MOST_DIGITS = 4096, 20

MOST_DEPTH = 4
"""Of lists in lists."""

END = b"\r\n"


class GarbledError(Exception):
    """What came is no reply."""


class ReplyError(Exception):
    """The store refuses a command; `code` is the first word, such as OOM or WRONGPASS. The rest may hold names."""

    def __init__(self, message: bytes) -> None:
        self.code = message.split(b" ", 1)[0].decode("ascii", "replace")[:32]
        super().__init__(self.code)


Reply = bytes | int | str | ReplyError | list["Reply"] | None


def command(*words: bytes) -> bytes:
    """A command as it is sent."""
    return b"*%d\r\n%b" % (len(words), b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))


def parse(data: bytes | bytearray, start: int = 0, depth: int = 0) -> tuple[Reply, int] | None:
    """The reply that begins at `start` and where it ends; None while some of it is missing.

    Raises GarbledError for what cannot become one. Whole texts are str, values are bytes.
    """
    end = data.find(END, start)
    if end < 0:
        if len(data) - start > MOST_LINE_BYTES:
            raise GarbledError("a line without an end")
        return None
    line, after = bytes(data[start + 1 : end]), end + len(END)
    match data[start : start + 1]:
        case b"$":
            return _value(data, after, _length(line))
        case b"+":
            return line.decode("utf-8", "replace"), after
        case b"-":
            return ReplyError(line), after
        case b":":
            return _number(line), after
        case b"*":
            return _list(data, after, _length(line), depth)
    raise GarbledError("a reply of unknown kind")


def _value(data: bytes | bytearray, start: int, length: int) -> tuple[Reply, int] | None:
    if length < 0:
        return None, start
    end = start + length
    if len(data) < end + len(END):
        return None
    if data[end : end + len(END)] != END:
        raise GarbledError("a value of another length than it says")
    return bytes(data[start:end]), end + len(END)


def _list(data: bytes | bytearray, at: int, length: int, depth: int) -> tuple[Reply, int] | None:
    if length < 0:
        return None, at
    if depth == MOST_DEPTH:
        raise GarbledError("lists too deep")
    items: list[Reply] = []
    for _ in range(length):
        found = parse(data, at, depth + 1)
        if found is None:
            return None
        item, at = found
        items.append(item)
    return items, at


def _length(line: bytes) -> int:
    length = _number(line)
    if not -1 <= length <= MOST_REPLY_BYTES:
        raise GarbledError("an impossible length")
    return length


def _number(line: bytes) -> int:
    if not line.removeprefix(b"-").isdigit() or len(line) > MOST_DIGITS:
        raise GarbledError("no number where one should be")
    return int(line)
