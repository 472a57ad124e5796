"""From pydantic's JSON schema to the structural schema of a CustomResourceDefinition.

The server's rules are in apiextensions-apiserver, `pkg/apiserver/schema/validation.go`. What does not fit is refused
with the field's path; nothing is guessed.

| pydantic emits | becomes |
| --- | --- |
| `$ref` | the definition itself; the field's own description wins |
| `anyOf: [X, null]` | X; the field is simply not required |
| `const` | an enum of one |
| `additionalProperties: false` | nothing: the server prunes |
| `additionalProperties: true` | nothing, where `x-kubernetes-preserve-unknown-fields` says so; refused elsewhere |
| `title`, object and list defaults | nothing: defaults of scalars only, told in the description too |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
KEPT = (
    "description",
    "type",
    "format",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "x-kubernetes-validations",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    PRESERVE,
)
HANDLED = ("$defs", "$ref", "anyOf", "additionalProperties", "const", "default", "items", "properties", "title")
SCALARS = (str, int, bool)


class NotStructuralError(ValueError):
    """A model that no structural schema can describe; the message starts with the field's path."""


@dataclass(frozen=True)
class _Source:
    """Where references lead, and whether the server shall fill in defaults."""

    definitions: Mapping[str, Schema]
    defaults: bool


def structural(model: type[BaseModel], *, defaults: bool = True) -> Schema:
    """The structural schema of a model; raises NotStructuralError.

    A status has no `defaults`: what its writer leaves out stays out.
    """
    schema = model.model_json_schema(by_alias=True)
    return _rewrite(schema, _Source(schema.get("$defs", {}), defaults), model.__name__, ())


def _rewrite(schema: Schema, source: _Source, path: str, above: tuple[str, ...]) -> Schema:
    schema, above = _resolved(schema, source.definitions, path, above)
    unknown = schema.keys() - set(KEPT) - set(HANDLED)
    if unknown:
        raise NotStructuralError(f"{path}: {', '.join(sorted(unknown))} cannot be expressed")
    if "type" not in schema:
        raise NotStructuralError(f"{path}: has no type")
    result = {key: schema[key] for key in KEPT if key in schema}
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if source.defaults and isinstance(schema.get("default"), SCALARS):
        result |= _default(schema)
    if "items" in schema:
        result["items"] = _rewrite(schema["items"], source, f"{path}[]", above)
    if "properties" in schema:
        result["properties"] = {
            name: _rewrite(one, source, f"{path}.{name}", above) for name, one in schema["properties"].items()
        }
    return result | _map_values(schema, source, path, above)


def _default(schema: Schema) -> Schema:
    """The default, for the server, and in the description, since `kubectl explain` shows nothing else of it."""
    default = schema["default"]
    shown = str(default).lower() if isinstance(default, bool) else default
    return {"default": default, "description": f"{schema.get('description', '')} Default: {shown}.".strip()}


def _resolved(
    schema: Schema, definitions: Mapping[str, Schema], path: str, above: tuple[str, ...]
) -> tuple[Schema, tuple[str, ...]]:
    """Put the definition in place of a reference and the value in place of an optional one."""
    if "anyOf" in schema:
        given = [one for one in schema["anyOf"] if one.get("type") != "null"]
        if len(given) != 1 or len(schema["anyOf"]) != len(given) + 1:
            raise NotStructuralError(f"{path}: is a union; give one optional object per choice and a rule instead")
        outside = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return _resolved(given[0] | outside, definitions, path, above)
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name in above:
            raise NotStructuralError(f"{path}: {name} contains itself")
        outside = {key: value for key, value in schema.items() if key != "$ref"}
        return definitions[name] | outside, (*above, name)
    return schema, above


def _map_values(schema: Schema, source: _Source, path: str, above: tuple[str, ...]) -> Schema:
    values = schema.get("additionalProperties", False)
    if schema.get(PRESERVE) or values is False:
        return {}
    if isinstance(values, dict):
        return {"additionalProperties": _rewrite(values, source, f"{path}.*", above)}
    raise NotStructuralError(f"{path}: takes anything; say {PRESERVE}, or type its values")
