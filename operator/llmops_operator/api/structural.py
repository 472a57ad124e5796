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
| `title`, object and list defaults | nothing: defaults of scalars only |
"""

from __future__ import annotations

from collections.abc import Mapping
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


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a model; raises NotStructuralError."""
    schema = model.model_json_schema(by_alias=True)
    return _rewrite(schema, schema.get("$defs", {}), model.__name__, ())


def _rewrite(schema: Schema, definitions: Mapping[str, Schema], path: str, above: tuple[str, ...]) -> Schema:
    schema, above = _resolved(schema, definitions, path, above)
    unknown = schema.keys() - set(KEPT) - set(HANDLED)
    if unknown:
        raise NotStructuralError(f"{path}: {', '.join(sorted(unknown))} cannot be expressed")
    if "type" not in schema and not schema.get(PRESERVE):
        raise NotStructuralError(f"{path}: has no type")
    result = {key: schema[key] for key in KEPT if key in schema}
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if isinstance(schema.get("default"), SCALARS):
        result["default"] = schema["default"]
    if "items" in schema:
        result["items"] = _rewrite(schema["items"], definitions, f"{path}[]", above)
    if "properties" in schema:
        result["properties"] = {
            name: _rewrite(one, definitions, f"{path}.{name}", above) for name, one in schema["properties"].items()
        }
    return result | _map_values(schema, definitions, path, above)


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


def _map_values(schema: Schema, definitions: Mapping[str, Schema], path: str, above: tuple[str, ...]) -> Schema:
    values = schema.get("additionalProperties", False)
    if isinstance(values, dict):
        return {"additionalProperties": _rewrite(values, definitions, f"{path}.*", above)}
    if values and not schema.get(PRESERVE):
        raise NotStructuralError(f"{path}: takes anything; say {PRESERVE}, or type its values")
    return {}
