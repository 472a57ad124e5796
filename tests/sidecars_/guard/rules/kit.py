"""What the rule for personal data finds, as it stands in a text; and tables of such texts as parameters."""

from __future__ import annotations

from typing import Any

import pytest

from llmops_sidecars.contract import Action, Country, PiiEntity, PiiRule
from llmops_sidecars.guard.rules import pii
from llmops_sidecars.guard.rules.scan import plain

PATTERNED = tuple(entity for entity in PiiEntity if entity is not PiiEntity.PERSON_NAME)
"""Kinds that patterns and checks find, without a model."""


def found(entity: PiiEntity, text: str, *countries: Country) -> list[str]:
    """What the rule finds of one kind, as it stands in the text."""
    findings = pii.make(PiiRule((entity,), Action.MASK, countries=countries)).find(plain(text))
    return [text[finding.start : finding.end] for finding in sorted(findings)]


def wide(text: str) -> str:
    """The text in full-width forms, as Japanese keyboards make them."""
    return "".join(chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character for character in text)


def cases(table: dict[PiiEntity, Any]) -> list[Any]:
    """A parameter for each entity and each of its cases."""
    return [
        pytest.param(entity, case, id=f"{entity.value}: {case[0] if isinstance(case, tuple) else case}")
        for entity, entity_cases in table.items()
        for case in entity_cases
    ]
