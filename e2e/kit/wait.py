"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.1


class TimedOutError(AssertionError):
    """What was waited for did not come; the message says what was seen last."""


def until(what: str, probe: Callable[[], T | None], seconds: float) -> T:
    """Call `probe` until it returns something true and return that; raises TimedOutError after `seconds`.

    An exception of the probe counts as "not yet"; the last one is quoted.
    """
    end = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            last = value = probe()
            if value:
                return value
        except Exception as error:  # noqa: BLE001 - whatever it is, it may pass; else it is quoted
            last = error
        if time.monotonic() > end:
            raise TimedOutError(f"not within {seconds:g} s: {what}; last seen: {last!r}")
        time.sleep(POLL_SECONDS)


def steady(what: str, probe: Callable[[], object], seconds: float) -> None:
    """Make sure that `probe` stays true for `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = probe()
        assert value, f"{what} did not hold: {value!r}"
        time.sleep(POLL_SECONDS)
