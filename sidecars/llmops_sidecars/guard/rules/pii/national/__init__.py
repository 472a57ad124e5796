"""National ids: of which countries, and how each is checked, stands in tables; `rule` looks for them."""

from llmops_sidecars.guard.rules.pii.national.rule import letters, numbers

__all__ = ["letters", "numbers"]
