"""No gateway at all: what the others are compared with."""

from __future__ import annotations

from bench.gateway.contenders import Contender, Made, Place

NAME = "direct"


def make(place: Place) -> Made:
    """The upstream itself."""
    return Made((Contender(NAME, "no gateway", f"{place.upstream}/v1"),))
