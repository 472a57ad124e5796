"""Logs: one JSON object per line, without anything that users wrote.

Errors of others tell their type and the places in the code, but not their text: it may quote what they worked on.
kopf's messages are cut where an object begins, and its lower levels, which print whole objects, are off.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import TextIO

LEVELS = ("debug", "info", "warning", "error")
OURS = "llmops_operator"
LIBRARY = "kopf"


class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger, message; with an exception its type, its text if it is ours, and where it happened."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        message = record.getMessage()
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message.partition("{")[0] if _is_of(record.name, LIBRARY) else message,
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line["exception"] = describe(error)
            line["traceback"] = "".join(traceback.format_tb(error.__traceback__))
        return json.dumps(line)


def describe(error: BaseException) -> str:
    """An error's type, and its text when the error is one of ours, which quote nothing."""
    kind = type(error)
    return f"{kind.__name__}: {error}" if _is_of(kind.__module__, OURS) else kind.__name__


def configure(level: str, stream: TextIO) -> None:
    """Send all logs of this level (one of LEVELS) and above to `stream`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger(LIBRARY).setLevel(logging.WARNING)
    logging.getLogger(f"{LIBRARY}._core.reactor.running").setLevel(logging.ERROR)  # it warns that it is in a thread


def _is_of(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
