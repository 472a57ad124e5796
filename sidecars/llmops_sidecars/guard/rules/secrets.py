"""Secrets, by the shapes that their makers gave them."""

from __future__ import annotations

from llmops_sidecars.contract import SecretsRule
from llmops_sidecars.guard.rules.finding import Check, Finding
from llmops_sidecars.guard.rules.scan import PatternSet, starts_word

RULE = "secrets"
LABEL = "[SECRET]"

SHAPES = {
    "openai": r"sk-[A-Za-z0-9_\-]{20,}",
    "aws": r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
    "github": r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}",
    "gitlab": r"glpat-[A-Za-z0-9_\-]{20,}",
    "slack": r"xox[abeoprs]-[A-Za-z0-9\-]{10,}|https://hooks\.slack\.com/services/T[A-Za-z0-9/]{20,}",
    "google": r"AIza[A-Za-z0-9_\-]{35}|ya29\.[A-Za-z0-9_\-]{20,}",
    "stripe": r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    "hugging face": r"hf_[A-Za-z0-9]{30,}",
    "nvidia": r"nvapi-[A-Za-z0-9_\-]{40,}",
    "npm": r"npm_[A-Za-z0-9]{36}",
    "pypi": r"pypi-[A-Za-z0-9_\-]{50,}",
    "sendgrid": r"SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}",
    "token": r"eyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?",
    "private key": (
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?s:.*?)(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|\z)"
    ),
    "connection": r"[a-zA-Z][a-zA-Z0-9+.\-]{1,20}://[^\s:/@]{0,64}:[^\s/@]{1,128}@",
}

NAMED_AFTERWARDS = ("$", "<", "{", "[", "%", "*")
"""What a password in an example begins with that is filled in later."""


def make(rule: SecretsRule) -> Check:
    """The rule with its action."""
    shapes = PatternSet(SHAPES)

    def find(text: str) -> list[Finding]:
        places = (
            (name, *(_password(text, start, end) if name == "connection" else (start, end)))
            for name, start, end in shapes.places(text)
            if text[start] == "-" or starts_word(text, start)
        )
        return [
            Finding(start, end, RULE, name, LABEL, rule.action)
            for name, start, end in places
            if _is_secret(name, text[start:end])
        ]

    return Check(RULE, find)


def _password(text: str, start: int, end: int) -> tuple[int, int]:
    """The password in a URL: all else in it may be needed."""
    host = text.index("://", start) + 3
    return text.index(":", host) + 1, end - 1


def _is_secret(name: str, said: str) -> bool:
    """Keys have digits, which names in lower case with hyphens have not; a place-holder is no password."""
    if name == "openai":
        return any(character.isdigit() for character in said)
    return name != "connection" or not said.startswith(NAMED_AFTERWARDS)
