"""Personal data: a pattern finds candidates, a check decides; one module for each family of kinds."""

from llmops_sidecars.guard.rules.pii.rule import RULE, make

__all__ = ["RULE", "make"]
