"""What goes wrong on purpose, and when."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

PREFIX = "fault_"
"""How the request parameters that ask for a fault begin."""


class FaultRefusedError(ValueError):
    """A request asks for a fault that is not to be had; the message is for the client."""


class ModelCrashedError(Exception):
    """The model's process is to exit."""


class EngineFrozenError(Exception):
    """The engine is to stand still, with everything that it holds."""


@dataclasses.dataclass(frozen=True)
class Faults:
    """The faults of one request: a delay in milliseconds, the others in generated words, None for never."""

    first_token_delay_ms: int = 0
    hang_after_tokens: int | None = None
    error_after_tokens: int | None = None
    crash_after_tokens: int | None = None
    freeze_after_tokens: int | None = None

    def holds(self, generated: int, seconds: float) -> bool:
        """Whether a request stands still that has `generated` words after so many seconds in its slot.

        Raises:
            ModelCrashedError: the process's end is due.
            EngineFrozenError: the engine's end is due.
        """
        if _due(self.crash_after_tokens, generated):
            raise ModelCrashedError
        if _due(self.freeze_after_tokens, generated):
            raise EngineFrozenError
        waits = generated == 0 and seconds * 1000 < self.first_token_delay_ms
        return waits or _due(self.hang_after_tokens, generated)

    def fails(self, generated: int) -> bool:
        """Whether a request that has `generated` words ends with an error."""
        return _due(self.error_after_tokens, generated)


NAMES = tuple(field.name for field in dataclasses.fields(Faults))
"""Every fault that a request may ask for."""


def with_requested(faults: Faults, parameters: Mapping[str, Any], *, allowed: bool) -> Faults:
    """The faults of a request: the configured ones, changed by its parameters named `fault_...`.

    Raises:
        FaultRefusedError: requests may not ask for faults, or there is none of that name, or its value is no count.
    """
    asked = {name.removeprefix(PREFIX): value for name, value in parameters.items() if name.startswith(PREFIX)}
    if asked and not allowed:
        raise FaultRefusedError("requests may not ask for faults here: cpu_model.faults.allow_in_requests is false")
    for name, value in asked.items():
        if name not in NAMES:
            raise FaultRefusedError(f"there is no fault {name!r}; known are {', '.join(NAMES)}")
        if type(value) is not int or value < 0:
            raise FaultRefusedError(f"{PREFIX}{name} must be a whole number of at least 0, not {value!r}")
    return dataclasses.replace(faults, **asked)


def _due(after: int | None, generated: int) -> bool:
    return after is not None and generated >= after
