"""How fetching fails: for good, or so that another attempt may succeed."""

from __future__ import annotations


class FetchError(Exception):
    """The model cannot be fetched; the message says why and what to do."""


class TransientError(Exception):
    """An attempt failed; another may not. `pause` is what the server asked for, in seconds."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


class UselessError(TransientError):
    """What has been fetched of a file is of no use: another attempt begins anew."""
