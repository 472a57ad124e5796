"""Reading bodies so that a mistake is named in words that its author understands, and huge ones cost little."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

import msgspec

from llmops_sidecars.openai.errors import ApiError, invalid_json, invalid_request

MAX_DEPTH = 32
"""Levels of objects and arrays inside a free-form field."""

MAX_NODES = 10_000
"""Values inside a free-form field: each of their texts is looked at by every rule."""

T = TypeVar("T")


def decode_with(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read a body; raises ApiError (400) that says which field is wrong and how."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise named(str(error)) from error
    except msgspec.DecodeError as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise invalid_json(reason[:1].lower() + reason[1:]) from error
    except UnicodeDecodeError as error:
        raise invalid_json(f"it is not UTF-8 (byte {error.start} of a string: {error.reason})") from error
    except RecursionError as error:
        raise invalid_json("it is nested too deeply") from error


def named(message: str, *, within: str = "") -> ApiError:
    """Split msgspec's sentence `Expected … - at `$.messages[0].role`` into a field and what is wrong with it."""
    reason, _, place = message.partition(" - at `")
    field = (within + place.removesuffix("`").removeprefix("$")).removeprefix(".")
    if reason.startswith("Object missing required field `"):
        missing = reason.split("`")[1]
        path = f"{field}.{missing}" if field else missing
        return missing_field(path)
    if reason.startswith("Invalid enum value"):
        reason = "Not one of the allowed values"
    if not field:
        return invalid_json(reason[:1].lower() + reason[1:])
    return invalid_request(f"{field}: {reason[:1].lower()}{reason[1:]}.", field)


def missing_field(path: str) -> ApiError:
    """400: a field that has to be there is not."""
    return invalid_request(f"{path}: this field is required.", path, "missing_field")


def require_bounded(field: str, value: Any) -> None:
    """Refuse what is nested too deeply, or has too many values; raises ApiError."""
    if value is None:
        return
    level, nodes = [msgspec.to_builtins(value)], 0
    for _ in range(MAX_DEPTH + 1):
        nodes += len(level)
        if nodes > MAX_NODES:
            raise invalid_request(f"{field}: more than {MAX_NODES} values.", field)
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise invalid_request(f"{field}: nested more than {MAX_DEPTH} levels deep.", field)


def _children(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
