"""The document itself: `decode`, `encode` and `digest` are all that the two planes share besides the shapes."""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from llmops_sidecars.contract.access import Access
from llmops_sidecars.contract.engine import Engine
from llmops_sidecars.contract.matching import PhrasesRule
from llmops_sidecars.contract.policy import Policy
from llmops_sidecars.contract.prompts import Template

VERSION = 1
"""The only version there is; a change that an older sidecar would misread makes a new one."""

FULL_WEIGHT = 100


class ContractError(ValueError):
    """The document cannot be used; the message says where and why."""


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on what one pod takes on: requests, bytes, tokens, seconds."""

    concurrent_requests: Annotated[int, Meta(ge=1)] = 256
    queued_requests: Annotated[int, Meta(ge=0)] = 64
    body_bytes: Annotated[int, Meta(ge=1024)] = 1024 * 1024
    output_tokens: Annotated[int, Meta(ge=1)] = 4096
    request_seconds: Annotated[float, Meta(gt=0)] = 600.0
    first_token_seconds: Annotated[float, Meta(gt=0)] = 60.0
    inter_token_seconds: Annotated[float, Meta(gt=0)] = 30.0
    queue_seconds: Annotated[float, Meta(gt=0)] = 30.0


class SharedStore(Struct, frozen=True, forbid_unknown_fields=True):
    """A Valkey or Redis that pods share answers through. All of its keys begin with `prefix`.

    `password_file` is read at each log-in, `ca_file` vouches for the server instead of the system's authorities.
    """

    host: Annotated[str, Meta(min_length=1)]
    prefix: Annotated[str, Meta(min_length=1)]
    port: Annotated[int, Meta(ge=1, le=65535)] = 6379
    tls: bool = False
    user: str = "default"
    database: Annotated[int, Meta(ge=0)] = 0
    password_file: str | None = None
    ca_file: str | None = None


class CacheSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What the cache may keep: for how long, in seconds, and how much, in bytes. No time (0) switches it off.

    `shared` is asked for what this pod does not remember.
    """

    ttl_seconds: Annotated[float, Meta(ge=0)] = 0.0
    max_bytes: Annotated[int, Meta(ge=0)] = 256 * 1024 * 1024
    shared: SharedStore | UnsetType = UNSET


class Configuration(Struct, frozen=True, forbid_unknown_fields=True):
    """One served configuration. `revision` names it in headers and metrics; `weight` is its share of 100."""

    revision: str
    weight: Annotated[int, Meta(ge=0, le=FULL_WEIGHT)] = FULL_WEIGHT
    templates: tuple[Template, ...] = ()
    default_template: str | None = None
    policy: Policy = Policy()
    cache: CacheSettings = CacheSettings()


class Contract(Struct, frozen=True, forbid_unknown_fields=True):
    """All that a pod's sidecars need to know. `fallback` answers what the engine has not begun to answer.

    Of two configurations the first is the stable one, which the other may replace.
    """

    model: Annotated[str, Meta(min_length=1)]
    engine: Engine
    configurations: Annotated[tuple[Configuration, ...], Meta(min_length=1, max_length=2)]
    limits: Limits = Limits()
    fallback: Engine | None = None
    access: Access = Access()
    version: int = VERSION


def encode(contract: Contract) -> bytes:
    """The document's bytes: the same for equal contracts, readable by people."""
    return msgspec.json.format(msgspec.json.encode(contract), indent=1) + b"\n"


def decode(document: bytes) -> Contract:
    """Read a document; raises ContractError for anything that this version does not understand."""
    try:
        contract = msgspec.json.decode(document, type=Contract)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError(str(error)) from error
    _require_sense(contract)
    return contract


def files(contract: Contract) -> tuple[str, ...]:
    """What a contract names of files that the guard reads once: keys for hashes, lists of phrases."""
    policies = [configuration.policy for configuration in contract.configurations]
    rules = [rule for policy in policies for rule in (*policy.input, *policy.output)]
    lists = (rule.file for rule in rules if isinstance(rule, PhrasesRule))
    return tuple(file for file in (*(policy.hash_key_file for policy in policies), *lists) if file)


def digest(document: bytes) -> str:
    """What the guard reports and the operator expects: the first 16 hexadecimal digits of the bytes' SHA-256."""
    return hashlib.sha256(document).hexdigest()[:16]


def _require_sense(contract: Contract) -> None:
    if contract.version != VERSION:
        raise ContractError(f"version {contract.version} is not supported; this sidecar knows version {VERSION}")
    weights = [configuration.weight for configuration in contract.configurations]
    if sum(weights) != FULL_WEIGHT:
        raise ContractError(f"the weights of the configurations add up to {sum(weights)}, not {FULL_WEIGHT}")
    for configuration in contract.configurations:
        known = {template.id for template in configuration.templates}
        if configuration.default_template is not None and configuration.default_template not in known:
            raise ContractError(f"default_template {configuration.default_template!r} is not among the templates")
    names = [tenant.name for tenant in contract.access.tenants]
    if len(set(names)) != len(names):
        raise ContractError("a tenant is there twice under access.tenants")
