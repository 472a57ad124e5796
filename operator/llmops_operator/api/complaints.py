"""What is wrong with a spec, in words: one line per problem, the field's path first.

Values are not repeated, but for the part of an expression that RE2 stumbles on: a reason ends up in statuses, events
and logs, and a URL may hold a password.
"""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails

WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a field here; check its spelling and its place",
    "string_type": "must be text; put it in quotes",
    "int_type": "must be a whole number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "enum": "must be {expected}",
    "greater_than_equal": "must be at least {ge}, got {got}",
    "less_than_equal": "must be at most {le}, got {got}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "value_error": "{error}",
}
"""By pydantic's names of problems; for others its own words stand."""


def complaints(error: ValidationError) -> list[str]:
    """Lines such as `spec.resources.gpus: must be at least 0, got -1`, in the order of the fields."""
    return [_line(problem) for problem in error.errors(include_url=False)]


def _line(problem: ErrorDetails) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    words = WORDS.get(problem["type"], problem["msg"].replace("{", "{{").replace("}", "}}"))
    got = problem["input"] if isinstance(problem["input"], int) else ""
    return f"spec{path}: {words.format(got=got, **problem.get('ctx', {}))}"
