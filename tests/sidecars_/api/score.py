"""How many claims of the specification are kept, by endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Score:
    """Of one endpoint; `misses` says what happened instead."""

    kept: int = 0
    misses: dict[str, str] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.kept / max(self.kept + len(self.misses), 1)

    def claim(self, name: str, otherwise: str | None) -> None:
        """Count a claim: kept, or else what happened."""
        if otherwise is None:
            self.kept += 1
        else:
            self.misses[name] = otherwise


SCORES: dict[str, Score] = {}
