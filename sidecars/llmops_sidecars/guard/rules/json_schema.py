"""The answer is JSON of the policy's schema: what is not, is found as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from llmops_sidecars.contract import Action, JsonSchemaRule
from llmops_sidecars.guard.rules.finding import OUTPUT, Check, Finding
from llmops_sidecars.guard.rules.scan import once

RULE = "jsonSchema"
SYNTAX, SCHEMA = "Syntax", "Schema"
"""Kinds: no JSON at all, and JSON of another shape."""

LABEL = "[JSON]"
ACTIONS = frozenset({Action.REPORT, Action.BLOCK})


def make(rule: JsonSchemaRule) -> Check:
    """The rule for its schema; raises ValueError that says what is wrong with it."""
    if rule.action not in ACTIONS:
        raise ValueError(f"jsonSchema: the action is Block or Report, not {rule.action}")
    from llmops_sidecars.openai.schemas import Schema

    try:
        schema = Schema.of(rule.document)
    except ValueError as error:
        raise ValueError(f"jsonSchema: the schema cannot be used: {error}") from error

    def find(text: str) -> list[Finding]:
        kind = _trouble(text, schema.mismatch)
        return [Finding(0, len(text), RULE, kind, LABEL, rule.action)] if kind else []

    return Check(RULE, find, whole=True, as_is=True, content=True, only=OUTPUT)


def _trouble(text: str, mismatch: Callable[[Any], str | None]) -> str | None:
    try:
        document = msgspec.json.decode(once(text, str.encode))
    except (msgspec.DecodeError, RecursionError):
        return SYNTAX
    return None if mismatch(document) is None else SCHEMA
