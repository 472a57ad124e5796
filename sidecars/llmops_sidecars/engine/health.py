"""Whether an endpoint is worth asking: outlier ejection, and its way back.

in rotation --FAILURES in a row--> ejected --after a while--> half open: one request tries it
     ^                                ^                            |
     +-------- it answers ------------|---------------<------------+
                                      +------- it fails again -----+   each time for twice as long
"""

from __future__ import annotations

FAILURES = 3
"""So many in a row eject: as many as may always be repeated elsewhere, so that no client need notice."""

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
"""How long an ejection lasts: the first, and the longest, between which each is twice the one before."""

FORGIVEN_SECONDS = 60.0
"""After so long in rotation the next ejection is a first one again."""


class Health:
    """What is known of one endpoint. Every `now` is in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._failures = 0
        self._ejections = 0
        self._until: float | None = None
        self._back_at = 0.0
        self._trying = False

    @property
    def ejected(self) -> bool:
        """Whether it is out of rotation; also while one request tries it."""
        return self._until is not None

    def is_due(self, now: float) -> bool:
        """Whether an ejected endpoint is to be tried by the next request."""
        return self._until is not None and now >= self._until and not self._trying

    def begin(self) -> bool:
        """A request is sent there; whether it is the one that tries an ejected endpoint."""
        trial = self.ejected
        self._trying = self._trying or trial
        return trial

    def answered(self, now: float) -> None:
        """It has begun to answer: an ejected one is back."""
        if self._until is not None:
            self._until, self._back_at, self._failures = None, now, 0

    def succeeded(self) -> None:
        """An answer has come to its end."""
        self._failures = 0

    def failed(self, now: float, *, trial: bool, may_eject: bool) -> None:
        """It was not there, or hung. `may_eject`: enough others are in rotation."""
        self._failures += 1
        if trial or (self._failures >= FAILURES and may_eject and self._until is None):
            self._eject(now)

    def end(self, *, trial: bool) -> None:
        """A request has ended, however."""
        self._trying = self._trying and not trial

    def _eject(self, now: float) -> None:
        if self._until is None and now - self._back_at > FORGIVEN_SECONDS:
            self._ejections = 0
        seconds = min(FIRST_SECONDS * 2**self._ejections, LONGEST_SECONDS)
        self._ejections += 1
        self._until = now + seconds
