"""What is measured: loads, each with the answers that the upstream gives meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Answers:
    """What the upstream answers: milliseconds to the first token and between tokens, and tokens of one answer."""

    first: float
    inter: float
    tokens: int


@dataclass(frozen=True)
class Load:
    """One kind of load. `mode` is the generator's; `rate` in requests a second, `seconds` measured, `warm` before."""

    name: str
    mode: str
    answers: Answers
    seconds: float = 4.0
    warm: float = 0.5
    rate: float = 0.0
    connections: int = 0
    streams: bool = False

    def arguments(self) -> list[str]:
        """The generator's flags."""
        if self.mode == "abort":
            return ["-count", str(int(self.seconds))]
        chosen = ["-rate", f"{self.rate:g}"] if self.mode == "open" else ["-connections", str(self.connections)]
        times = ["-seconds", f"{self.seconds:g}s", "-warm", f"{self.warm:g}s"]
        return [*times, *chosen, *(["-stream"] if self.streams else [])]


WHOLE = Answers(first=10, inter=0, tokens=16)
"""A short answer that the upstream gives in one piece: what differs between contenders is their own work."""

PACED = Answers(first=20, inter=5, tokens=64)
"""A stream as an engine writes it, one token a write."""

IDLE = Load("1/s", "open", WHOLE, seconds=12, warm=1, rate=1)
"""All contenders at once, each in its own tenth of the second."""

LOADS = (
    Load("100/s", "open", WHOLE, seconds=3, rate=100),
    Load("capacity", "closed", Answers(0, 0, 16), seconds=3, connections=32),
    Load("streams", "open", PACED, seconds=4, rate=10, streams=True),
    Load("chunks", "closed", Answers(0, 0, 200), seconds=3, connections=16, streams=True),
    Load("abort", "abort", Answers(5, 5, 400), seconds=8, streams=True),
    Load("500/s", "open", WHOLE, seconds=4, rate=500),
)
"""One after the other; each goes over all contenders before the next one begins. What overloads some comes last."""

RATES = ("1/s", "100/s", "500/s")
"""The loads whose added latency is told."""


def scaled(load: Load, seconds: float) -> Load:
    """A shorter or longer load: `seconds` is what the longest one takes."""
    share = seconds / 4.0
    return replace(load, seconds=max(load.seconds * share, 1), warm=max(load.warm * share, 0.2))
