"""Secrets, by the shapes that their makers gave them. A pattern ends as soon as the shape is certain."""

from __future__ import annotations

from llmops_sidecars.contract import SecretsRule
from llmops_sidecars.guard.rules.finding import Find, Finding
from llmops_sidecars.guard.rules.scan import PatternSet

RULE = "secrets"
LABEL = "[SECRET]"

SHAPES = {
    "openai": r"\bsk-[A-Za-z0-9_\-]{20,}",
    "aws": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "github": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    "gitlab": r"\bglpat-[A-Za-z0-9_\-]{20,}",
    "slack": r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,}",
    "google": r"\bAIza[A-Za-z0-9_\-]{35}",
    "stripe": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    "hugging face": r"\bhf_[A-Za-z0-9]{30,}",
    "npm": r"\bnpm_[A-Za-z0-9]{36}",
    "token": r"\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?",
    "private key": (
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[A-Za-z0-9+/=\s:,\-]*-----END [A-Z ]{1,40}-----)?"
    ),
    "connection": r"\b[a-zA-Z][a-zA-Z0-9+.\-]{1,20}://[^\s:/@]{0,64}:[^\s/@]{1,128}@[^\s/]+",
}


def make(rule: SecretsRule) -> Find:
    """The rule with its action."""
    shapes = PatternSet(SHAPES)

    def find(text: str) -> list[Finding]:
        return [Finding(start, end, RULE, LABEL, rule.action) for _, start, end in shapes.places(text)]

    return find
