"""Which requests are equal, and which may be remembered.

Two requests are equal when the same caller asks the same configuration for the same thing: a tenant, a revision, a
policy, a template and every field of the request that is not in `NOT_IDENTITY`. A field that nobody here has heard of
is part of the key, so that a new one can only cost a hit, never give a wrong answer.

The form is canonical: the order of an object's fields, `1` or `1.0`, `null` or nothing, and the Unicode form of a text
(compared in NFC) make no difference.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

import msgspec
from msgspec import Struct

FORM = "llmops-cache-key/2"
"""The version of the form: a change of it makes all older keys unreachable."""

NOT_IDENTITY = frozenset({"stream", "stream_options", "user", "metadata", "store"})
"""Fields that say how to deliver or to account for an answer, not what it is."""

HIGHEST_TEMPERATURE = 1.0
"""Above OpenAI's default of 1 the caller asks for variety; up to it a repeated answer is what a cache is for."""

TAG_LENGTH = 16

EXACT_INTEGERS = 2**53
"""Below this every whole float is exactly an integer."""


class Scope(Struct, frozen=True):
    """What has to be equal beside the request itself; `engine` stands for all of the contract that shapes answers.

    `policy` is a version, `policy_name` what people call it; `prompt` is a template's id and version.
    """

    tenant: str
    revision: str
    policy: str
    prompt: str
    engine: str
    policy_name: str = ""


def read_fields(body: bytes) -> dict[str, Any] | None:
    """The request's fields, or None when the body is not a JSON object: then there is nothing to remember."""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def may_remember(fields: dict[str, Any]) -> bool:
    """Whether the answer to this request may be given again.

    Not with a temperature above `HIGHEST_TEMPERATURE`, tools (their calls act on the world), several answers at once,
    or log probabilities.
    """
    temperature = fields.get("temperature")
    if isinstance(temperature, int | float) and temperature > HIGHEST_TEMPERATURE:
        return False
    return not (fields.get("tools") or fields.get("logprobs") or fields.get("n", 1) not in (None, 1))


def key_of(scope: Scope, fields: dict[str, Any]) -> str:
    """The key: what it can be purged by, each as a `tag`, and the digest of everything, with dots between."""
    template = scope.prompt.partition("@")[0]
    return ".".join((*map(tag, (scope.tenant, scope.revision, scope.policy_name, template)), digest(scope, fields)))


def tag(name: str) -> str:
    """A name as part of a key."""
    return hashlib.sha256(name.encode()).hexdigest()[:TAG_LENGTH]


def digest(scope: Scope, fields: dict[str, Any]) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    identity = {name: value for name, value in fields.items() if name not in NOT_IDENTITY and value is not None}
    form = (FORM, scope, _canonical(identity))
    return hashlib.sha256(msgspec.json.encode(form, order="sorted")).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {name: _canonical(field) for name, field in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_INTEGERS:
        return int(value)
    return value
