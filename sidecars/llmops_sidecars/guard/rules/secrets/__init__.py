"""Secrets: by the shapes that their makers gave them, by what is assigned to a password, by looking random."""

from llmops_sidecars.guard.rules.secrets.rule import RULE, make

__all__ = ["RULE", "make"]
