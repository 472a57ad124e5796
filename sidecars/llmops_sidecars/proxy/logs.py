"""Logs: one JSON object per line on standard output.

Fields come from `extra`. Exceptions are written as their type and the places in the code, without their message:
messages of parsers and drivers may quote what a client sent, and no text of a request belongs into a log.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Turns a record into a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's time (UTC), level, logger, message, fields, and where its exception came from."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line |= _exception(record.exc_info[1])
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(level: str = "INFO", stream: TextIO = sys.stdout) -> None:
    """Send all logs of this process to `stream` from `level` on; raises ValueError for an unknown level."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - the documented way to leave the stack alone: no line says where it is from
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _exception(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "exception": f"{type(error).__module__}.{type(error).__qualname__}",
        "traceback": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
