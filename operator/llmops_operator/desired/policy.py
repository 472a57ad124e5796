"""What a guard policy makes of a pod and of its sidecars' configuration.

Lists of phrases stand beside the contract, in the same ConfigMap and each in a file named by its digest, so that a
change of a list reaches running pods like any other change. The key for hashes is mounted into the guard alone; a
Secret that does not exist is an empty directory: the guard says what is missing. The operator reads no Secret.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from llmops_operator.api import GuardPolicySpec
from llmops_operator.api.guardpolicy import PolicyRule
from llmops_operator.api.matching import Phrases, Pii
from llmops_operator.api.units import to_seconds
from llmops_operator.desired import brought, judging, paths, revision
from llmops_operator.desired.digest import digest
from llmops_operator.desired.facts import ListKey, Policy
from llmops_sidecars import contract

Document = dict[str, Any]

HASH_KEY = "hash-key"


def settings(policy: Policy) -> contract.Policy:
    """The policy as the guard reads it."""
    spec: GuardPolicySpec = policy.spec
    return contract.Policy(
        name=policy.name,
        version=revision.policy_version(policy),
        on_error=contract.OnError(spec.on_error),
        input=tuple(_rule(rule, policy) for rule in spec.input),
        output=tuple(_rule(rule, policy) for rule in spec.output),
        stream=contract.StreamWindow(
            hold_back_characters=spec.stream.hold_back_characters,
            hold_back_seconds=to_seconds(spec.stream.hold_back_time),
        ),
        hash_key_file=paths.HASH_KEY_FILE if spec.hash_key_secret_ref else UNSET,
        consent=judging.consent(spec.consent),
        audit=judging.audit(spec.audit),
    )


def lists_of(spec: GuardPolicySpec) -> tuple[ListKey, ...]:
    """The ConfigMaps, and the keys in them, that hold phrases."""
    references = (rule.phrases.config_map_ref for rule in (*spec.input, *spec.output) if rule.phrases)
    return tuple(dict.fromkeys((one.name, one.key) for one in references if one is not None))


def files(policy: Policy | None) -> dict[str, str]:
    """The lists of phrases, by the names of their files."""
    return {_file(text): text for text in policy.lists.values()} if policy else {}


def volumes(policy: Policy | None) -> list[Document]:
    """The key for hashes, what webhooks are asked with, and models that the policy brings along."""
    if policy is None:
        return []
    return [*_hash_key(policy.spec), *judging.volumes(policy.spec), *brought.volumes(policy.spec)]


def mounts(policy: Policy | None) -> list[Document]:
    """Their directories, for the guard."""
    if policy is None:
        return []
    key = {"name": HASH_KEY, "mountPath": paths.HASH_KEY_DIRECTORY, "readOnly": True}
    own = [key] if policy.spec.hash_key_secret_ref else []
    return [*own, *judging.mounts(policy.spec), *brought.mounts(policy.spec)]


def memory(policy: Policy | None) -> int:
    """MiB that the guard needs for the policy beside its own."""
    return brought.memory(policy.spec) if policy else 0


def _hash_key(spec: GuardPolicySpec) -> list[Document]:
    key = spec.hash_key_secret_ref
    if key is None:
        return []
    items = [{"key": key.key, "path": paths.HASH_KEY}]
    source = {"secretName": key.name, "items": items, "defaultMode": paths.OWNER_AND_GROUP, "optional": True}
    return [{"name": HASH_KEY, "secret": source}]


def _file(text: str) -> str:
    return f"phrases-{digest(text)}.txt"


def _rule(rule: PolicyRule, policy: Policy) -> contract.Rule:
    if (judging_rule := judging.translated(rule)) is not None:
        return judging_rule
    if rule.injection is not None:
        return brought.injection(rule.injection)
    if rule.pii is not None:
        return _pii(rule.pii)
    if rule.secrets is not None:
        return contract.SecretsRule(contract.Action(rule.secrets.action))
    if rule.phrases is not None:
        return _phrases(rule.phrases, policy)
    return contract.PatternsRule(
        tuple(contract.Pattern(one.name, one.expression, contract.Action(one.action)) for one in rule.patterns or ())
    )


def _pii(rule: Pii) -> contract.PiiRule:
    return contract.PiiRule(
        tuple(rule.entities),
        contract.Action(rule.action),
        unmask=rule.unmask,
        countries=tuple(rule.countries),
        model=brought.names(rule.model),
    )


def _phrases(rule: Phrases, policy: Policy) -> contract.PhrasesRule:
    reference = rule.config_map_ref
    file = f"{paths.CONTRACT_DIRECTORY}/{_file(policy.lists[reference.name, reference.key])}" if reference else None
    return contract.PhrasesRule(
        rule.name,
        tuple(rule.inline or ()),
        file,
        whole_words=rule.whole_words,
        action=contract.Action(rule.action),
    )
